"""Which rows of a table are in another one: by their ids, or by their pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from Orange.data import Table

from orangecontrib.imageanalytics.widgets.viewer_run import texts


def within(data: Table, subset: Table, image: str) -> tuple[NDArray[np.bool_], int]:
    """Find a subset's rows.

    Parameters
    ----------
    data, subset : Table
        Rows belong together if they have the same id, or the same picture.
    image : str
        The name of the pictures' column; the subset need not have it.

    Returns
    -------
    tuple of (ndarray of shape (len(data),), bool) and int
        Which rows of the data are in the subset, and how many rows of the subset are not in the
        data.
    """
    found = np.isin(data.ids, subset.ids)
    known = np.isin(subset.ids, data.ids)
    if image in subset.domain:
        here = np.array(texts(data, data.domain[image]), object)
        there = np.array(texts(subset, subset.domain[image]), object)
        names, others = set(here.tolist()) - {""}, set(there.tolist()) - {""}
        found |= np.array([name in others for name in here.tolist()], bool)
        known |= np.array([name in names for name in there.tolist()], bool)
    return found, int((~known).sum())
