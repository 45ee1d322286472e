"""Jobs for the engine's tests, and images on which they crash or hang."""

from __future__ import annotations

import ctypes
import io
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.outcome import ModelFileError

SEGFAULT, HANG, STARTS, LIBRARY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)

#: A program that runs until it is ended.
ENDLESS = (sys.executable, "-c", "import time; time.sleep(600)")


@dataclass(frozen=True)
class MeanColour:
    """Gives an image's mean colour; takes some for orders to crash, hang or start a program."""

    fit: Squash = Squash(8, 8)  # noqa: RUF009 - it is frozen
    pause: float = 0.0

    def prepare(self) -> None:
        pass

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        corner = tuple(int(value) for value in pixels[0, 0])
        if corner == SEGFAULT:
            ctypes.string_at(0)
        if corner == HANG:
            time.sleep(600)
        if corner == STARTS:
            subprocess.run(ENDLESS, check=True)
        if corner == LIBRARY:  # as a library written in C would
            ctypes.CDLL(None).system(shlex.join(ENDLESS).encode())
        time.sleep(self.pause)
        return pixels.mean(axis=(0, 1), dtype=np.float32)


@dataclass(frozen=True)
class Shape(MeanColour):
    """Gives the size that an image has been fitted into."""

    fit: Squash = Squash(4, 5)  # noqa: RUF009 - it is frozen

    def __call__(self, pixels: np.ndarray) -> tuple[int, ...]:
        return pixels.shape


@dataclass(frozen=True)
class LongAnswer(MeanColour):
    """Gives 20 MB, which take a while to be written."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return np.zeros(5_000_000, np.float32)


@dataclass(frozen=True)
class BrokenModel(MeanColour):
    """Cannot be prepared."""

    def prepare(self) -> None:
        raise ModelFileError("the model's file is broken")


@dataclass(frozen=True)
class MissingLibrary(MeanColour):
    """Needs a library that is not installed."""

    def prepare(self) -> None:
        raise ImportError("DLL load failed", name="onnxruntime")


@dataclass(frozen=True)
class DiesAtStart(MeanColour):
    """Crashes before it has answered."""

    def prepare(self) -> None:
        ctypes.string_at(0)


def png(colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> bytes:
    """An image of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()
