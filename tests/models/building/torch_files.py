"""Writes what PyTorch's `torch.save` writes of a dictionary of tensors, without PyTorch.

The instructions are those that `pickletools.dis` shows of its files, some of which are in
`recorded/`.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KINDS = {"f4": b"FloatStorage", "f8": b"DoubleStorage", "f2": b"HalfStorage", "i8": b"LongStorage"}


def text(value: str) -> bytes:
    """BINUNICODE."""
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    """BININT."""
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    """A tuple of numbers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(key: str, value: NDArray, *, legacy: bool) -> bytes:
    """A call of `_rebuild_tensor_v2` with a storage."""
    kind = KINDS[value.dtype.str[1:]]
    strides = tuple(step // value.itemsize for step in value.strides)
    storage = b"(" + text("storage") + b"ctorch\n" + kind + b"\n" + text(key) + text("cpu")
    storage += number(value.size) + (b"N" if legacy else b"") + b"tQ"
    arguments = storage + number(0) + numbers(value.shape) + numbers(strides) + b"\x89"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"ccollections\nOrderedDict\n)RtR"


def dictionary(weights: Mapping[str, NDArray], *, legacy: bool) -> bytes:
    """An OrderedDict, with the version numbers that a state dict has."""
    items = b"".join(
        text(name) + tensor(str(index), value, legacy=legacy)
        for index, (name, value) in enumerate(weights.items())
    )
    versions = b"}" + text("_metadata") + b"}" + text("") + b"}" + text("version") + b"K\x01sss"
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u" + versions + b"b."


def save(path: Path, weights: Mapping[str, NDArray], *, legacy: bool) -> Path:
    """Write weights in the format before PyTorch 1.6, or in the one since."""
    content = dictionary(weights, legacy=legacy)
    arrays = [np.ascontiguousarray(value) for value in weights.values()]
    if legacy:
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
        begin = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
        keys = pickle.dumps([str(index) for index in range(len(arrays))], 2)
        storages = [struct.pack("<q", array.size) + array.tobytes() for array in arrays]
        path.write_bytes(b"".join([*begin, content, keys, *storages]))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        for index, array in enumerate(arrays):
            archive.writestr(f"archive/data/{index}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return path
