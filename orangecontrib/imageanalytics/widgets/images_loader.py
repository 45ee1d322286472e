"""Thumbnails for a view: wanted in one thread, made elsewhere, kept in memory within a limit."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from AnyQt.QtCore import QObject, Qt, QTimer
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QImage, QPixmap

from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.thumbnails import Requests, Thumbnail, Thumbnails, step_for

#: Bytes of decoded thumbnails that a view keeps.
MEMORY = 64 * 2**20
#: Name of the thread that ends the processes.
_ENDING = "thumbnails end"
#: Seconds that what was received may take of the window's thread at a time.
_AT_ONCE = 0.006

_lock = threading.Lock()
_shared: weakref.WeakSet[Loader]
_thumbnails: Thumbnails | None = None


def to_image(thumbnail: Thumbnail) -> QImage:
    """Decode a thumbnail for drawing; in any thread."""
    pixels = np.ascontiguousarray(thumbnail.pixels())
    height, width, channels = pixels.shape
    kind = QImage.Format.Format_RGB888 if channels == 3 else QImage.Format.Format_RGBA8888
    image = QImage(pixels.data, width, height, channels * width, kind)
    drawn = (
        QImage.Format.Format_RGB32 if channels == 3 else QImage.Format.Format_ARGB32_Premultiplied
    )
    return image.convertToFormat(drawn)  # a copy, as the array is gone after this


class Loader(QObject):
    """Asks for thumbnails and keeps them; all loaders of a program share the processes.

    Signals are emitted in the window's thread.
    """

    #: What came for these keys: they should be drawn anew.
    received = Signal(list)
    #: An image is not to be seen: its key, and why.
    skipped = Signal(object, object)
    #: No image can be decoded at all, and why.
    failed = Signal(str)

    _arrived = Signal()
    _broke = Signal(str)

    def __init__(self, parent: QObject | None = None, memory: int = MEMORY) -> None:
        super().__init__(parent)
        self._memory = memory
        self._kept: OrderedDict[Hashable, tuple[int, QPixmap]] = OrderedDict()
        self._bytes = 0
        self._came: deque[tuple[int, Hashable, int, QImage | Skipped]] = deque()
        self._is_told = False  # that something came, and `_take` is to be called
        self._generation = 0
        self._requests: Requests[QImage] | None = None
        self._closed = False
        self._arrived.connect(self._take, Qt.ConnectionType.QueuedConnection)
        self._broke.connect(self.failed, Qt.ConnectionType.QueuedConnection)

    def pixmap(self, key: Hashable) -> tuple[QPixmap, bool] | None:
        """What is there of an image, and whether that is all there is: not to be enlarged."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        step, pixmap = kept
        return pixmap, max(pixmap.width(), pixmap.height()) < step

    def want(self, wanted: Iterable[tuple[Hashable, Any]], size: int) -> None:
        """Say what is to be seen now, the most urgent first, at which size in pixels.

        What is there in this or a larger size is not asked for again.
        """
        step = step_for(size)
        missing = [
            (key, reference)
            for key, reference in wanted
            if (kept := self._kept.get(key)) is None or kept[0] < step
        ]
        if self._requests is None:
            if self._closed or not missing:
                return
            self._requests = _open(self)
        self._requests.want(missing, step)

    @property
    def is_idle(self) -> bool:
        """Whether all that was wanted is there."""
        return (self._requests is None or self._requests.is_idle) and not self._came

    def clear(self) -> None:
        """Forget all: other images have these keys now."""
        self._generation += 1
        self._kept.clear()
        self._bytes = 0
        self._came.clear()
        if self._requests is not None:
            self._requests.close()
            self._requests = _open(self)

    def close(self) -> None:
        """Want nothing any more, for good; the processes end with the last loader."""
        self._closed = True
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        self._kept.clear()
        _release(self)

    def _take(self) -> None:
        """Take in what came, but not for longer than nobody notices."""
        self._is_told = False  # before looking: what comes from now on is told again
        until = time.perf_counter() + _AT_ONCE
        keys = []
        while self._came and time.perf_counter() < until:
            generation, key, step, result = self._came.popleft()
            if generation != self._generation:
                continue
            if isinstance(result, Skipped):
                self.skipped.emit(key, result)
            else:
                self._keep(key, step, QPixmap.fromImage(result))
            keys.append(key)
        if keys:
            self.received.emit(keys)
        if self._came and not self._is_told:
            self._is_told = True
            QTimer.singleShot(0, self._take)

    def _keep(self, key: Hashable, step: int, pixmap: QPixmap) -> None:
        if (before := self._kept.pop(key, None)) is not None:
            self._bytes -= _size(before[1])
        self._kept[key] = step, pixmap
        self._bytes += _size(pixmap)
        while self._bytes > self._memory and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= _size(dropped)


def _size(pixmap: QPixmap) -> int:
    return 4 * pixmap.width() * pixmap.height()


_shared = weakref.WeakSet()


def _open(loader: Loader) -> Requests[QImage]:
    """Let a loader share the processes, which are made with the first one."""
    global _thumbnails
    with _lock:
        if _thumbnails is None:
            _thumbnails = Thumbnails()
        _shared.add(loader)
        thumbnails = _thumbnails
    generation = loader._generation

    def received(key: Hashable, step: int, result: QImage | Skipped) -> None:
        loader._came.append((generation, key, step, result))
        if not loader._is_told:
            loader._is_told = True
            with contextlib.suppress(RuntimeError):  # its C++ half is gone already
                loader._arrived.emit()

    def failed(error: BaseException) -> None:
        with contextlib.suppress(RuntimeError):
            loader._broke.emit(str(error) or type(error).__name__)

    return Requests(thumbnails, to_image, received, failed)


def _release(loader: Loader) -> None:
    """End the processes with the last loader, in a thread: that takes a moment."""
    global _thumbnails
    with _lock:
        _shared.discard(loader)
        if _shared or _thumbnails is None:
            return
        thumbnails, _thumbnails = _thumbnails, None
    DaemonThreads(_ENDING).submit(thumbnails.close)
