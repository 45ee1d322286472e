"""Thumbnails for a view: wanted in one thread, made elsewhere, kept in memory within a limit."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from AnyQt.QtCore import QElapsedTimer, QObject, Qt, QTimer
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QImage, QPixmap
from numpy.typing import NDArray

from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.thumbnails import Requests, Thumbnail, Thumbnails, step_for
from orangecontrib.imageanalytics.web.reach import Reach
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

#: How much red, green and blue count for how light a colour is (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

#: Pixels of a side that are looked at to tell how light a picture is.
_LOOKED_AT = 256

#: Bytes of decoded thumbnails that a view keeps.
MEMORY = 64 * 2**20
#: Name of the thread that ends the processes.
_ENDING = "thumbnails end"
#: Seconds that what was received may take of the window's thread at a time.
_AT_ONCE = 0.006
#: Milliseconds from one time to the next: what comes in between is drawn together, as each drawing
#: by itself takes as long as that of some pictures. Still 40 times a second.
_INTERVAL = 25

_lock = threading.Lock()
_shared: weakref.WeakSet[Loader]
_thumbnails: Thumbnails | None = None


def to_image(pixels: NDArray[np.uint8]) -> QImage:
    """Make an image of pixels, uint8 [h, w, 3] or [h, w, 4], for drawing; in any thread."""
    pixels = np.ascontiguousarray(pixels)
    height, width, channels = pixels.shape
    kind = QImage.Format.Format_RGB888 if channels == 3 else QImage.Format.Format_RGBA8888
    image = QImage(pixels.data, width, height, channels * width, kind)
    drawn = (
        QImage.Format.Format_RGB32 if channels == 3 else QImage.Format.Format_ARGB32_Premultiplied
    )
    return image.convertToFormat(drawn)  # a copy, as the array is gone after this


def tone_of(pixels: NDArray[np.uint8]) -> float | None:
    """Tell how light a picture with transparent parts is where it is not, from 0 to 1.

    None means that it has none, or is wholly transparent: then the ground does not matter.
    """
    if pixels.shape[2] == 3:
        return None
    step = 1 + max(pixels.shape) // _LOOKED_AT
    some = pixels[::step, ::step].astype(np.float32)
    alpha = some[..., 3]
    if not alpha.any():
        return None
    return float(np.average(some[..., :3] @ _LUMA, weights=alpha)) / 255


@dataclass(frozen=True, slots=True)
class Drawing:
    """A thumbnail, ready to be drawn, its tone, and what is known of its image."""

    image: QImage
    tone: float | None
    facts: str


def to_drawing(thumbnail: Thumbnail) -> Drawing:
    """Decode a thumbnail, and say what is known of its image; in any thread."""
    facts = f"{thumbnail.width} × {thumbnail.height} pixels"
    if thumbnail.size:
        facts += f", {_in_words(thumbnail.size)}"
    pixels = thumbnail.pixels()
    return Drawing(to_image(pixels), tone_of(pixels), facts)


def _in_words(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"


@dataclass(frozen=True, slots=True)
class _Kept:
    step: int
    pixmap: QPixmap
    tone: float | None
    facts: str

    @property
    def bytes(self) -> int:
        return 4 * int(self.pixmap.width()) * int(self.pixmap.height())


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
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0
        self._came: deque[tuple[int, Hashable, int, Drawing | Skipped]] = deque()
        self._is_told = False  # that something came, and `_take` is to be called
        self._generation = 0
        self._requests: Requests[Drawing] | None = None
        self._closed = False
        self._taking = QTimer(self, singleShot=True)
        self._taking.timeout.connect(self._take)
        self._last = QElapsedTimer()
        self._arrived.connect(self._take_soon, Qt.ConnectionType.QueuedConnection)
        self._broke.connect(self.failed, Qt.ConnectionType.QueuedConnection)

    def pixmap(self, key: Hashable) -> tuple[QPixmap, bool] | None:
        """What is there of an image, and whether that is all there is: not to be enlarged."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept.pixmap, max(kept.pixmap.width(), kept.pixmap.height()) < kept.step

    def tone(self, key: Hashable) -> float | None:
        """How light an image with transparent parts is; see `tone_of`."""
        kept = self._kept.get(key)
        return None if kept is None else kept.tone

    def facts(self, key: Hashable) -> str:
        """What is known of an image besides its pixels, in words."""
        kept = self._kept.get(key)
        return "" if kept is None else kept.facts

    @property
    def count(self) -> int:
        """How many images are kept."""
        return len(self._kept)

    def want(self, wanted: Iterable[tuple[Hashable, Any]], size: int) -> None:
        """Say what is to be seen now, the most urgent first, at which size in pixels.

        What is there in this or a larger size is not asked for again.
        """
        step = step_for(size)
        missing = [
            (key, reference)
            for key, reference in wanted
            if (kept := self._kept.get(key)) is None or kept.step < step
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
        self._taking.stop()
        self._came.clear()
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        self._kept.clear()
        _release(self)

    def _take_soon(self) -> None:
        """Take in what came: now, or together with what comes until the next time."""
        if not self._taking.isActive():
            passed = self._last.elapsed() if self._last.isValid() else _INTERVAL
            self._taking.start(max(0, _INTERVAL - passed))

    def _take(self) -> None:
        """Take in what came, but not for longer than nobody notices."""
        self._last.start()
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
                pixmap = QPixmap.fromImage(result.image)
                self._keep(key, _Kept(step, pixmap, result.tone, result.facts))
            keys.append(key)
        if keys:
            self.received.emit(keys)
        if self._came and not self._is_told:
            self._is_told = True
            self._taking.start(0)

    def _keep(self, key: Hashable, new: _Kept) -> None:
        if (before := self._kept.pop(key, None)) is not None:
            self._bytes -= before.bytes
        self._kept[key] = new
        self._bytes += new.bytes
        while self._bytes > self._memory and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.bytes


_shared = weakref.WeakSet()


def _open(loader: Loader) -> Requests[Drawing]:
    """Let a loader share the processes, which are made with the first one."""
    global _thumbnails
    with _lock:
        if _thumbnails is None:
            _thumbnails = Thumbnails(reach=Reach(user_settings().web_hosts()))
        _shared.add(loader)
        thumbnails = _thumbnails
    generation = loader._generation

    def received(key: Hashable, step: int, result: Drawing | Skipped) -> None:
        loader._came.append((generation, key, step, result))
        if not loader._is_told:
            loader._is_told = True
            with contextlib.suppress(RuntimeError):  # its C++ half is gone already
                loader._arrived.emit()

    def failed(error: BaseException) -> None:
        with contextlib.suppress(RuntimeError):
            loader._broke.emit(str(error) or type(error).__name__)

    return Requests(thumbnails, to_drawing, received, failed)


def look_for_consent() -> None:
    """Let the processes of all loaders fetch from hosts that the user has just agreed to."""
    with _lock:
        thumbnails = _thumbnails
    if thumbnails is not None:
        thumbnails.set_reach(Reach(user_settings().web_hosts()))


def _release(loader: Loader) -> None:
    """End the processes with the last loader, in a thread: that takes a moment."""
    global _thumbnails
    with _lock:
        _shared.discard(loader)
        if _shared or _thumbnails is None:
            return
        thumbnails, _thumbnails = _thumbnails, None
    DaemonThreads(_ENDING).submit(thumbnails.close)
