"""Pictures of a view in Orange's report: small, with their titles."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from AnyQt.QtCore import QBuffer, QByteArray, QEventLoop, QIODevice, QTimer
from AnyQt.QtGui import QPixmap

from orangecontrib.imageanalytics.widgets.images_loader import Loader

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.widgets.images_view import ImagesView

#: Pictures that a report shows, their size in pixels, and milliseconds that it waits for them.
MOST = 100
_SIZE = 128
_PATIENCE = 3000


def pictures(view: ImagesView, rows: Sequence[int]) -> str:
    """Write some rows' pictures as HTML, the first hundred of them."""
    wanted = list(rows[:MOST])
    loader = Loader()
    try:
        _load(view, loader, wanted)
        cells = [_cell(view, row, loader.pixmap(row)) for row in wanted]
    finally:
        loader.close()
        loader.deleteLater()
    if len(rows) > MOST:
        cells.append(f"<p>and {len(rows) - MOST} more</p>")
    return f"<div>{''.join(cells)}</div>"


def _load(view: ImagesView, loader: Loader, rows: list[int]) -> None:
    """Wait for the pictures, but not for long: those that are late are left out."""
    waiting = QEventLoop()
    missing = set(rows)

    def arrived(keys: list[int]) -> None:
        missing.difference_update(keys)
        if not missing:
            waiting.quit()

    loader.received.connect(arrived)
    loader.failed.connect(waiting.quit)
    loader.want([(row, view.images.reference(row)) for row in rows], _SIZE)
    if missing:
        QTimer.singleShot(_PATIENCE, waiting.quit)
        waiting.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)


def _cell(view: ImagesView, row: int, found: tuple[QPixmap, bool] | None) -> str:
    title = html.escape(view.images.title(row))
    if found is None:
        why = view.images.failures.get(row)
        seen = f"<i>{html.escape(str(why.reason)) if why else 'not shown'}</i>"
    else:
        seen = f'<img src="data:image/png;base64,{_png(found[0])}" alt="{title}">'
    style = "display:inline-block; text-align:center; margin:4px; vertical-align:bottom"
    return f'<div style="{style}">{seen}<br>{title}</div>'


def _png(pixmap: QPixmap) -> str:
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    pixmap.save(buffer, "PNG")
    return base64.b64encode(bytes(data)).decode("ascii")
