"""The reference images of Image Grid, and which images are most like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.widgets.grid_run import Compared


class References:
    """What images are compared with, and what came out, if that is known already.

    Attributes
    ----------
    table : Table, optional
        The reference images, if there are any.
    """

    def __init__(self) -> None:
        self.table: Table | None = None
        self._compared: Compared | None = None

    def take(self, table: Table | None) -> None:
        """Take other reference images; nothing is known of them yet."""
        self.table = table if table is not None and len(table) else None
        self.forget()

    def forget(self) -> None:
        """Forget what came out: the images are others."""
        self._compared = None

    def learn(self, compared: Compared) -> None:
        """Take what came out, unless it is of reference images that were there before."""
        if compared.references is self.table:
            self._compared = compared

    @property
    def is_pending(self) -> bool:
        """Whether there are reference images that nothing is known of."""
        return self.table is not None and self._compared is None

    @property
    def is_unlike(self) -> bool:
        """Whether the images cannot be compared with them."""
        return self._compared is not None and self._compared.is_unlike

    def rows(self, number: int) -> NDArray[np.intp]:
        """Give so many rows that are most like them, the most alike one first."""
        return np.empty(0, np.intp) if self._compared is None else self._compared.rows[:number]

    def ranks(self, number: int, count: int) -> NDArray[np.intp] | None:
        """Give each of `count` rows its rank among these, 0 for the others; None if none is."""
        rows = self.rows(number)
        if not len(rows):
            return None
        ranks = np.zeros(count, np.intp)
        ranks[rows] = np.arange(len(rows)) + 1
        return ranks
