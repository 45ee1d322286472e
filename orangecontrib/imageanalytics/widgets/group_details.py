"""The table below the pictures: the members of a group side by side, and what differs."""

from __future__ import annotations

import time
from pathlib import PurePath

import numpy as np
from AnyQt.QtCore import Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from orangecontrib.imageanalytics.sources import shown
from orangecontrib.imageanalytics.widgets.controls import tip
from orangecontrib.imageanalytics.widgets.duplicates_run import Facts, Found, Groups

_COLUMNS = ("Kept", "Name", "Pixels", "Bytes", "Changed", "Distance", "Folder")
_DISTANCE = _COLUMNS.index("Distance")
_ROW = Qt.ItemDataRole.UserRole
#: Members that are listed, at most.
_LISTED = 200


class GroupDetails(QTreeWidget):
    """Lists a group's pictures, the kept one first; what differs from it is in bold."""

    #: The user wants this row to be kept.
    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderLabels(list(_COLUMNS))
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        self.setAccessibleName("What differs in the group")
        self.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.itemDoubleClicked.connect(lambda item, _: self.chosen.emit(item.data(0, _ROW)))

    def show_group(self, found: Found | None, groups: Groups | None, label: int) -> None:
        """Show one of the groups; none if the label is -1."""
        self.clear()
        if found is None or groups is None or label < 0:
            return
        start = int(groups.sizes[:label].sum())
        rows = groups.order[start : start + int(groups.sizes[label])][:_LISTED].tolist()
        first = texts(found, groups, rows[0])
        for row in rows:
            item = QTreeWidgetItem(self, texts(found, groups, row))
            item.setData(0, _ROW, row)
            for column in range(2, len(_COLUMNS)):
                font = item.font(column)
                font.setBold(
                    item.text(column) != first[column] and column != _COLUMNS.index("Distance")
                )
                item.setFont(column, font)
            item.setToolTip(1, tip(shown(found.references[row] or "")))


def texts(found: Found, groups: Groups, row: int) -> list[str]:
    """What is known of a row, for people."""
    reference = found.references[row] or ""
    changed = float(found.facts.changed[row])
    return [
        "kept" if groups.kept[row] else "",
        found.titles[row],
        pixels_text(found.facts, row),
        size_text(int(found.facts.sizes[row])),
        "" if np.isnan(changed) else time.strftime("%Y-%m-%d %H:%M", time.localtime(changed)),
        _apart(found, groups, row),
        shown(str(PurePath(reference).parent)) if reference and "://" not in reference else "",
    ]


def _apart(found: Found, groups: Groups, row: int) -> str:
    """How far a picture is from the kept one; of pictures at 0, whether it is the same file."""
    distance = float(groups.distances[row])
    if distance or groups.kept[row] or found.request.alike:
        return "" if groups.kept[row] else distance_text(distance)
    files, label = found.facts.files, groups.labels[row]
    kept = np.flatnonzero((groups.labels == label) & groups.kept)[0]
    return "same file" if files[row] >= 0 and files[row] == files[kept] else "same pixels"


def pixels_text(facts: Facts, row: int) -> str:
    """Width and height, for people."""
    width, height = facts.pixels[row].tolist()
    return f"{width} × {height}" if width else ""


def distance_text(distance: float) -> str:
    """A distance, for people: 0 is for what is the same."""
    return "< 0.0001" if 0 < distance < 5e-5 else f"{distance:.4f}" if distance else "0"


def size_text(size: int) -> str:
    """Bytes, for people; nothing for what is not known."""
    if size < 10_000:
        return f"{size} B" if size >= 0 else ""
    return f"{size / 1e3:.0f} kB" if size < 10**7 else f"{size / 1e6:.1f} MB"
