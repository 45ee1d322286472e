"""Where pictures lie: vectors -> points of a plane -> cells of a grid."""

from orangecontrib.imageanalytics.arrangement.cells import (
    Grid,
    TooFewCellsError,
    assign,
    cost,
    spread,
)
from orangecontrib.imageanalytics.arrangement.plane import (
    METHODS,
    Tick,
    mds,
    pca,
    to_unit_square,
    tsne,
)

__all__ = [
    "METHODS",
    "Grid",
    "Tick",
    "TooFewCellsError",
    "assign",
    "cost",
    "mds",
    "pca",
    "spread",
    "to_unit_square",
    "tsne",
]
