"""The selection of Image Grid: groups of rows, made by clicks and the keyboard's modifiers."""

from __future__ import annotations

import numpy as np
from AnyQt.QtCore import Qt
from numpy.typing import NDArray

Groups = NDArray[np.intp]


def picked(groups: Groups, rows: NDArray[np.intp], modifiers: Qt.KeyboardModifier) -> Groups:
    """Do what a click or a rubber band does.

    Parameters
    ----------
    groups : ndarray of shape (N,), int
        The group of each row, from 1 on; 0 is none.
    rows : ndarray of int
        What was hit.
    modifiers : Qt.KeyboardModifier
        Alt removes them; Shift makes them a new group, with Ctrl adds them to the last one; Ctrl
        alone turns them: in the last group or in none. Without any they are selected alone.

    Returns
    -------
    ndarray of shape (N,), int
        Numbered without gaps.
    """
    shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
    control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
    last = max(1, int(groups.max(initial=0)))
    changed = groups.copy()
    if modifiers & Qt.KeyboardModifier.AltModifier:
        changed[rows] = 0
    elif shift and control:
        changed[rows] = last
    elif shift:
        changed[rows] = int(groups.max(initial=0)) + 1
    elif control:
        changed[rows] = np.where(groups[rows] > 0, 0, last)
    else:
        changed[:] = 0
        changed[rows] = 1
    return numbered(changed)


def numbered(groups: Groups) -> Groups:
    """Close the gaps that groups without members leave."""
    kept = np.unique(groups[groups > 0])
    closed = np.searchsorted(kept, groups) + 1
    return np.where(groups > 0, closed, 0).astype(np.intp)
