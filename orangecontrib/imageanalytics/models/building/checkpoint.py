"""The weights in a checkpoint of TensorFlow, format V2: `NAME.index`, `NAME.data-00000-of-00001`.

The index is a sorted table as LevelDB has them (leveldb's doc/table_format.md): blocks of entries,
whose keys leave out what they share with the one before, and a block that says where those are. An
entry's value is a BundleEntryProto (tensorflow/core/protobuf/tensor_bundle.proto): where in which
file of data a variable's numbers are.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orangecontrib.imageanalytics.models.building.files import broken, file_beside, main_file
from orangecontrib.imageanalytics.models.building.weights import Weights
from orangecontrib.imageanalytics.models.recipes import MAIN
from orangecontrib.imageanalytics.outcome import ModelFileError

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_LARGEST_INDEX = 2**26  # bytes; DeepLoc's has some kB

#: NumPy's types by the numbers in TensorFlow's types.proto.
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}

_PARTS = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


class _Broken(Exception):
    """The bytes are not such a table; the text says why."""


def checkpoint_files(path: Path) -> dict[str, Path]:
    """The files of a checkpoint, as `building.build` takes them.

    Parameters
    ----------
    path : Path
        The name that TensorFlow calls it (`model.ckpt-5000`), or any of its files.

    Raises
    ------
    ModelFileError
        If there is no such checkpoint in the format V2.
    """
    prefix = _PARTS.sub("", path.name)
    index = path.with_name(f"{prefix}.index")
    if not index.is_file():
        raise ModelFileError(
            f"{path} is not a checkpoint of TensorFlow in its format V2: there is no file {index}. "
            "Give the path up to .index; older ones have to be saved again by TensorFlow 1."
        )
    data = sorted(index.parent.glob(f"{_literal(prefix)}.data-?????-of-?????"))
    return {MAIN: index} | {file.name: file for file in data}


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def of_checkpoint(files: Mapping[str, Path]) -> Weights:
    """The variables in a checkpoint.

    Raises
    ------
    ModelFileError
        If it is not a whole checkpoint in the format V2.
    """
    path = main_file(files)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_INDEX)
        entries = dict(_table(content))
        shards = _numbers(entries.pop(b"")).get(1, 0)
        variables = {name.decode(): _entry(value) for name, value in entries.items()}
    except (_Broken, IndexError, KeyError, UnicodeDecodeError, struct.error, OSError) as error:
        why = str(error) if isinstance(error, _Broken) else "it is something else, or a part of one"
        raise broken(path, f"as the index of a checkpoint of TensorFlow, {why}") from error

    def read(variable: str) -> NDArray:
        entry = variables[variable]
        kind = np.dtype(_TYPES.get(entry.kind, "V1"))
        if entry.bytes != math.prod(entry.shape) * kind.itemsize:
            raise ValueError("it has another number of bytes than its shape says")
        name = f"{path.stem}.data-{entry.shard:05}-of-{shards:05}"
        data = file_beside(files, name)
        values = np.fromfile(data, kind, math.prod(entry.shape), offset=entry.offset)
        return values.reshape(entry.shape)

    return Weights(path, {name: entry.shape for name, entry in variables.items()}, read)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a variable's numbers are."""

    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    bytes: int


def _entry(value: bytes) -> _Entry:
    numbers = _numbers(value)
    shape = tuple(
        _numbers(dim).get(1, 0)
        for field, part in _fields(value)
        if field == 2 and isinstance(part, bytes)
        for number, dim in _fields(part)
        if number == 2 and isinstance(dim, bytes)
    )
    kind, shard, offset, size = (numbers.get(field, 0) for field in (1, 3, 4, 5))
    return _Entry(kind, shape, shard, offset, size)


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All entries of a sorted table."""
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:]) != (_MAGIC,):
        raise _Broken("it is something else, or a part of one")
    at = 0
    for _ in range(2):  # where the block of statistics is; not needed
        _, at = _varint(footer, at)
    for _, handle in _block(content, footer[at:]):
        yield from _block(content, handle)


def _block(content: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    block, compressed = content[offset : offset + size], content[offset + size]
    if compressed:
        raise _Broken("it is compressed")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise _Broken("it is damaged")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _numbers(message: bytes) -> dict[int, int]:
    """The fields of a protocol buffer that are numbers."""
    return {number: value for number, value in _fields(message) if isinstance(value, int)}


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: numbers and bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif wire == 2:
            length, at = _varint(message, at)
            yield key >> 3, message[at : at + length]
            at += length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise _Broken("it is damaged")
        if at > len(message):
            raise _Broken("it ends early")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits in each byte, and where the next thing begins."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Broken("it is damaged")
