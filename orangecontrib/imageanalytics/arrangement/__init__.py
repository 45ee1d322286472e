"""Where pictures lie: vectors -> points of a plane -> cells of a grid."""

from orangecontrib.imageanalytics.arrangement.apart import LayoutCrashedError, lay_out
from orangecontrib.imageanalytics.arrangement.cells import (
    Grid,
    TooFewCellsError,
    assign,
    cost,
    spread,
)
from orangecontrib.imageanalytics.arrangement.plane import (
    METHODS,
    MOST_FOR_MDS,
    Tick,
    TooManyForMDSError,
    mds,
    pca,
    to_unit_square,
    tsne,
)

__all__ = [
    "METHODS",
    "MOST_FOR_MDS",
    "Grid",
    "LayoutCrashedError",
    "Tick",
    "TooFewCellsError",
    "TooManyForMDSError",
    "assign",
    "cost",
    "lay_out",
    "mds",
    "pca",
    "spread",
    "to_unit_square",
    "tsne",
]
