"""Where pictures lie: vectors -> points of a plane -> cells of a grid."""

from orangecontrib.imageanalytics.arrangement.apart import (
    TO_PLANE,
    Apart,
    Arrangement,
    LayoutCrashedError,
    lay_out,
)
from orangecontrib.imageanalytics.arrangement.cells import (
    EXACT,
    Grid,
    TooFewCellsError,
    assign,
    cost,
    spread,
)
from orangecontrib.imageanalytics.arrangement.plane import (
    AT_ONCE,
    METHODS,
    MOST_FOR_MDS,
    Tick,
    TooManyForMDSError,
    mds,
    pca,
    to_unit_square,
    tsne,
)
from orangecontrib.imageanalytics.arrangement.thinning import Places, thin

__all__ = [
    "AT_ONCE",
    "EXACT",
    "METHODS",
    "MOST_FOR_MDS",
    "TO_PLANE",
    "Apart",
    "Arrangement",
    "Grid",
    "LayoutCrashedError",
    "Places",
    "Tick",
    "TooFewCellsError",
    "TooManyForMDSError",
    "assign",
    "cost",
    "lay_out",
    "mds",
    "pca",
    "spread",
    "thin",
    "to_unit_square",
    "tsne",
]
