"""What an ONNX file says of itself: inputs, outputs and files beside it, read without running it.

onnxruntime is slow to import and must be kept out of the process that shows widgets (its DLLs clash
with PyQt's on Windows), so the few facts that a list of models needs are read here. An ONNX file is
one protocol buffer; the numbers of its fields are in onnx.proto (https://github.com/onnx/onnx).
Weights are stepped over: of a file of 400 MB, only some kilobytes are read.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Names of the types that images and vectors may have (TensorProto.DataType).
_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16", 11: "float64"}

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL_DATA = 13
_DEEPEST = 32  # of graphs within graphs; exporters need two or three

#: A field that holds bytes holds a stretch of the file, any other a number.
Stretch = tuple[int, int]
Field = tuple[int, int | Stretch]


class NotOnnx(Exception):
    """The file is not a whole ONNX file; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output: its name, type and shape.

    Attributes
    ----------
    name : str
        What the file calls it.
    type : str
        As NumPy calls it, or "another type".
    shape : tuple of int, str or None, or None
        Sizes; a name or None where any size will do; None if even the number of axes is open.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}: {self.type} of any shape"
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.type} [{sizes}]"


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What a file says.

    Attributes
    ----------
    inputs, outputs : tuple of Tensor
        In the order of the file; an input with a value of its own (a weight) is left out.
    external : tuple of str
        Files beside it that hold weights, by the names that it calls them, sorted.
    metadata : dict
        What its maker wrote into it.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    external: tuple[str, ...]
    metadata: dict[str, str]


def read_onnx(path: Path) -> OnnxFile:
    """Read what a file says of itself.

    Parameters
    ----------
    path : Path
        A regular file.

    Returns
    -------
    OnnxFile
        Inputs, outputs, external files and metadata.

    Raises
    ------
    NotOnnx
        If the file is no ONNX file or ends early.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise NotOnnx("is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _Reader(content).model()
            except (_Malformed, UnicodeDecodeError, RecursionError) as error:
                raise NotOnnx("is not an ONNX file, or only a part of one") from error


class _Malformed(Exception):
    """The bytes are not such a message."""


class _Reader:
    """Walks through a protocol buffer."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content

    def model(self) -> OnnxFile:
        """ModelProto."""
        inputs: dict[str, Tensor] = {}
        outputs: list[Tensor] = []
        weights: set[str] = set()
        external: set[str] = set()
        metadata: dict[str, str] = {}
        graphs = 0
        for number, value in self._fields((0, len(self._content))):
            if number == 7:
                graphs += 1
                external.update(self._external_of_graph(_stretch(value)))
                for field, part in self._fields(_stretch(value)):
                    if field == 5:
                        weights.add(self._text_field(_stretch(part), 8))
                    elif field == 11:
                        tensor = self._value_info(_stretch(part))
                        inputs[tensor.name] = tensor
                    elif field == 12:
                        outputs.append(self._value_info(_stretch(part)))
            elif number == 14:
                key, text = (self._text_field(_stretch(value), field) for field in (1, 2))
                metadata[key] = text
            elif number == 25:
                external.update(self._external_of_nodes(_stretch(value), nodes=7, defaults=11))
        if not graphs or not outputs:
            raise _Malformed
        wanted = tuple(tensor for name, tensor in inputs.items() if name not in weights)
        return OnnxFile(wanted, tuple(outputs), tuple(sorted(external)), metadata)

    def _external_of_graph(self, graph: Stretch, depth: int = 0) -> Iterator[str]:
        """GraphProto: the files that its weights are in, those of graphs inside nodes too."""
        if depth > _DEEPEST:
            raise _Malformed
        yield from self._external_of_nodes(graph, nodes=1, depth=depth)
        for number, value in self._fields(graph):
            if number == 5:
                yield from self._location(_stretch(value))
            elif number == 15:
                yield from self._external_of_sparse(_stretch(value))

    def _external_of_nodes(
        self, parent: Stretch, *, nodes: int, defaults: int = -1, depth: int = 0
    ) -> Iterator[str]:
        """The same of a graph or a function: its nodes' attributes, and those it has itself."""
        for number, value in self._fields(parent):
            if number == nodes:
                for field, attribute in self._fields(_stretch(value)):
                    if field == 5:
                        yield from self._external_of_attribute(_stretch(attribute), depth)
            elif number == defaults:
                yield from self._external_of_attribute(_stretch(value), depth)

    def _external_of_attribute(self, attribute: Stretch, depth: int) -> Iterator[str]:
        """AttributeProto."""
        for number, value in self._fields(attribute):
            if number in (5, 10):
                yield from self._location(_stretch(value))
            elif number in (6, 11):
                yield from self._external_of_graph(_stretch(value), depth + 1)
            elif number in (22, 23):
                yield from self._external_of_sparse(_stretch(value))

    def _external_of_sparse(self, sparse: Stretch) -> Iterator[str]:
        """SparseTensorProto."""
        for number, value in self._fields(sparse):
            if number in (1, 2):
                yield from self._location(_stretch(value))

    def _location(self, tensor: Stretch) -> Iterator[str]:
        """TensorProto: the file beside that its values are in, if they are not in it."""
        for number, value in self._fields(tensor):
            if number == _EXTERNAL_DATA and self._text_field(_stretch(value), 1) == "location":
                yield self._text_field(_stretch(value), 2)

    def _value_info(self, info: Stretch) -> Tensor:
        """ValueInfoProto."""
        name, kind, shape = "", "another type", None
        for number, value in self._fields(info):
            if number == 1:
                name = self._text(_stretch(value))
            elif number == 2:
                kind, shape = self._type(_stretch(value))
        return Tensor(name, kind, shape)

    def _type(self, proto: Stretch) -> tuple[str, tuple[int | str | None, ...] | None]:
        """TypeProto: a tensor's type and shape."""
        kind, shape = "another type", None
        for number, value in self._fields(proto):
            if number != 1:
                continue
            for field, part in self._fields(_stretch(value)):
                if field == 1 and isinstance(part, int):
                    kind = _TYPES.get(part, "another type")
                elif field == 2:
                    axes = self._fields(_stretch(part))
                    shape = tuple(self._size(_stretch(axis)) for one, axis in axes if one == 1)
        return kind, shape

    def _size(self, axis: Stretch) -> int | str | None:
        """TensorShapeProto.Dimension; what exporters write for "any" (0, -1) is None."""
        for number, value in self._fields(axis):
            if number == 1 and isinstance(value, int):
                return value if 0 < value < 2**63 else None
            if number == 2:
                return self._text(_stretch(value)) or None
        return None

    def _text_field(self, message: Stretch, wanted: int) -> str:
        """The text in a field of a message; empty if not there, the last one of several."""
        text = ""
        for number, value in self._fields(message):
            if number == wanted:
                text = self._text(_stretch(value))
        return text

    def _text(self, stretch: Stretch) -> str:
        return self._content[slice(*stretch)].decode()

    def _fields(self, message: Stretch) -> Iterator[Field]:
        """All fields of a message: their numbers and values."""
        at, end = message
        while at < end:
            key, at = self._varint(at, end)
            number, wire = key >> 3, key & 7
            value: int | Stretch
            if wire == _VARINT:
                value, at = self._varint(at, end)
            elif wire == _BYTES:
                length, start = self._varint(at, end)
                value, at = (start, start + length), start + length
            elif wire in (_FIXED64, _FIXED32):
                value, at = 0, at + (8 if wire == _FIXED64 else 4)
            else:
                raise _Malformed
            if at > end or not number:
                raise _Malformed
            yield number, value

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """A number of up to 64 bits, seven in each byte, and where the next thing begins."""
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise _Malformed
            byte = self._content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise _Malformed


def _stretch(value: int | Stretch) -> Stretch:
    if isinstance(value, int):
        raise _Malformed
    return value
