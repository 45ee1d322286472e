"""The weights in a file that PyTorch saved (`.pth`): a pickle of names, and raw numbers.

Two formats are in use. Since PyTorch 1.6 it is a ZIP archive with `data.pkl` and one file for each
storage; before, five pickles one after another, and then the storages. Neither is unpickled: see
`pickled`. torch/serialization.py describes both.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from orangecontrib.imageanalytics.models.building.files import broken
from orangecontrib.imageanalytics.models.building.pickled import (
    NotTensors,
    Storage,
    Tensor,
    read_pickle,
)
from orangecontrib.imageanalytics.models.building.weights import Weights

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_LARGEST_PICKLE = 2**26  # bytes; that of Inception has 100 kB

Read = Callable[[Storage], NDArray]


def of_state_dict(path: Path) -> Weights:
    """The weights in a file of PyTorch.

    Raises
    ------
    ModelFileError
        If it is not a whole file of a dictionary of tensors, and nothing else.
    """
    try:
        opened = _of_archive if zipfile.is_zipfile(path) else _of_pickles
        said, read = opened(path)
        if not isinstance(said, dict):
            raise NotTensors("it is no dictionary of tensors")
        tensors = {name: value for name, value in said.items() if isinstance(value, Tensor)}
    except (NotTensors, OSError, zipfile.BadZipFile, KeyError, struct.error) as error:
        raise broken(path, f"as a file of PyTorch's tensors, {error}") from error
    shapes = {str(name): tensor.shape for name, tensor in tensors.items()}
    return Weights(path, shapes, lambda name: _values(tensors[name], read))


def _values(tensor: Tensor, read: Read) -> NDArray:
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((side - 1) * step for side, step in steps)
    if 0 in tensor.shape or last >= tensor.storage.count:
        raise ValueError("it reaches beyond its numbers")
    numbers = read(tensor.storage)[tensor.offset :]
    strides = [step * numbers.itemsize for step in tensor.strides]
    return np.ascontiguousarray(as_strided(numbers, tensor.shape, strides, writeable=False))


def _of_archive(path: Path) -> tuple[Any, Read]:
    """The format since PyTorch 1.6."""
    archive = zipfile.ZipFile(path)
    pickles = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
        raise NotTensors("it is another kind of archive")
    root = pickles[0].filename.removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist():
        info = archive.getinfo(f"{root}byteorder")
        if info.file_size != len(b"little") or archive.read(info) != b"little":
            raise NotTensors("its numbers have their highest byte first")

    def read(storage: Storage) -> NDArray:
        kind = np.dtype(storage.kind)
        try:
            info = archive.getinfo(f"{root}data/{storage.key}")
            if info.file_size != storage.count * kind.itemsize:
                raise ValueError("it has another number of bytes than is said")
            return np.frombuffer(archive.read(info), kind)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ValueError(str(error)) from error

    return read_pickle(BytesIO(archive.read(pickles[0]))), read


def _of_pickles(path: Path) -> tuple[Any, Read]:
    """The format before: magic number, protocol, system, what was saved, keys; then the numbers."""
    with path.open("rb") as file:
        begin = BytesIO(file.read(_LARGEST_PICKLE))
    magic, protocol, system, said, keys = (read_pickle(begin) for _ in range(5))
    of_here = isinstance(system, dict) and system.get("little_endian") is True
    if (magic, protocol) != (_MAGIC, _PROTOCOL) or not of_here or not isinstance(keys, list):
        raise NotTensors("it is of another kind or system")
    places = _places(path, keys, begin.tell(), said)

    def read(storage: Storage) -> NDArray:
        return np.fromfile(path, storage.kind, storage.count, offset=places[storage.key])

    return said, read


def _places(path: Path, keys: Any, at: int, said: Any) -> Mapping[str, int]:
    """Where the numbers of each storage begin: each has its count before it, as 64 bits."""
    storages = {
        tensor.storage.key: tensor.storage
        for tensor in (said.values() if isinstance(said, dict) else ())
        if isinstance(tensor, Tensor)
    }
    places, end = {}, path.stat().st_size
    with path.open("rb") as file:
        for key in keys:
            storage = storages[str(key)]
            file.seek(at)
            (count,) = struct.unpack("<q", file.read(8))
            if count != storage.count:
                raise NotTensors(f"its storage {key} has another number of numbers than is said")
            places[str(key)] = at + 8
            at += 8 + count * np.dtype(storage.kind).itemsize
    if at > end:
        raise NotTensors("it ends early")
    return places
