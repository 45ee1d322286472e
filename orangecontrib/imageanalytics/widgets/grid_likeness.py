"""The images that Image Grid marks as those most like reference images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orangecontrib.imageanalytics.widgets.grid_run import Compared


@dataclass(frozen=True, slots=True)
class Likeness:
    """How many of the rows that were compared with the reference images are marked.

    Attributes
    ----------
    compared : Compared, optional
        The rows as they were sorted; None if there are no references, or not yet.
    number : int
        How many of them are marked.
    """

    compared: Compared | None
    number: int

    @property
    def rows(self) -> NDArray[np.intp]:
        """The rows that are marked, the most alike one first."""
        rows = np.empty(0, np.intp) if self.compared is None else self.compared.rows
        return rows[: self.number]

    def ranks(self, count: int) -> NDArray[np.intp] | None:
        """Give each of so many rows its rank, 0 if it is not marked; None if none is."""
        if not len(self.rows):
            return None
        ranks = np.zeros(count, np.intp)
        ranks[self.rows] = np.arange(len(self.rows)) + 1
        return ranks
