"""Vectors -> neighbours, groups of near duplicates, ranks: for float matrices, without Orange.

The rest of the package sees this file alone. Behind it are `space` (vectors as the matrix products
need them, and distances), `neighbours` (the k nearest of each), `pairs` (all within a distance),
`grouping` (pairs -> groups, at any distance at once), `ranking` (all by how alike they are),
`words` (pictures against words) and `fingerprint` (near copies, without a network).
"""

from orangecontrib.imageanalytics.similarity.grouping import MergeTree, group
from orangecontrib.imageanalytics.similarity.neighbours import Neighbours, nearest
from orangecontrib.imageanalytics.similarity.pairs import Pairs, pairs_within
from orangecontrib.imageanalytics.similarity.ranking import rank, rank_by
from orangecontrib.imageanalytics.similarity.space import Metric, distances
from orangecontrib.imageanalytics.similarity.words import Pictures, probabilities

__all__ = [
    "MergeTree",
    "Metric",
    "Neighbours",
    "Pairs",
    "Pictures",
    "distances",
    "group",
    "nearest",
    "pairs_within",
    "probabilities",
    "rank",
    "rank_by",
]
