"""Writes an ONNX file, whole or not at all, without ever holding a second copy of its weights.

VGG-16's file has 537 MB; protobuf's own way (a message with all weights in it, serialised, checked)
took 3.3 GB of memory for it, which is half of what many laptops have. So large weights stay outside
of the message, as arrays, and are put where they belong as the file is written; the bytes are those
that protobuf would write. The numbers of the fields are in onnx.proto (https://github.com/onnx/onnx).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from orangecontrib.imageanalytics.models.recipes import Facts
from orangecontrib.imageanalytics.outcome import ModelFileError

#: Bytes from which on a weight stays outside of the message. Shapes and other small parameters are
#: needed inside: what their values are decides the shapes of what is computed.
LARGE = 65536

_LONGEST = 2**31 - 1  # bytes of a protocol buffer

_GRAPH_IN_MODEL, _INITIALIZER_IN_GRAPH, _RAW_IN_TENSOR = 7, 5, 9

Arrays = Mapping[str, NDArray]


def write(
    proto: onnx.ModelProto, destination: Path, facts: Facts, arrays: Arrays | None = None
) -> None:
    """Check a model and write it; the same model and facts give the same bytes.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; its metadata are replaced.
    destination : Path
        The file; one that is there already is replaced at the very end.
    facts : mapping of str to str
        Metadata.
    arrays : mapping of str to ndarray, optional
        The values of those initializers that have none in the message.

    Raises
    ------
    ModelFileError
        If the graph is faulty or larger than an ONNX file can be, or the disk is full or read-only.
    """
    arrays = arrays or {}
    del proto.metadata_props[:]
    helper.set_model_props(proto, dict(facts))
    try:
        check(proto, arrays)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelFileError(
            f"The network for {destination} is faulty: {_first_line(error)}. "
            "The file that it is made of is of a kind that cannot be used."
        ) from error
    pieces = list(_model(proto, arrays))
    if sum(map(len, pieces)) > _LONGEST:
        raise ModelFileError(
            f"The network for {destination} is larger than the 2 GB that an ONNX file can hold."
        )
    _put(pieces, destination)


def check(proto: onnx.ModelProto, arrays: Arrays) -> None:
    """Raise onnx's own errors if operators, their attributes or the shapes do not fit together."""
    light = onnx.ModelProto()
    light.CopyFrom(proto)
    outside = [tensor for tensor in light.graph.initializer if tensor.name in arrays]
    for tensor in outside:
        light.graph.initializer.remove(tensor)
        light.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    onnx.checker.check_model(light, full_check=True)


def _model(proto: onnx.ModelProto, arrays: Arrays) -> Iterator[bytes | memoryview]:
    """ModelProto, in the order of its fields."""
    graph = list(_graph(proto.graph, arrays))
    yield _without(proto, ("graph", "opset_import", "metadata_props", "functions"))
    yield _tag(_GRAPH_IN_MODEL, sum(map(len, graph)))
    yield from graph
    after = onnx.ModelProto(opset_import=proto.opset_import, functions=proto.functions)
    after.metadata_props.extend(proto.metadata_props)
    yield after.SerializeToString(deterministic=True)


def _graph(graph: onnx.GraphProto, arrays: Arrays) -> Iterator[bytes | memoryview]:
    before = onnx.GraphProto(node=graph.node)
    if graph.name:
        before.name = graph.name
    yield before.SerializeToString(deterministic=True)
    for tensor in graph.initializer:
        content = tensor.SerializeToString(deterministic=True)
        raw = _bytes(arrays[tensor.name]) if tensor.name in arrays else None
        value = b"" if raw is None else _tag(_RAW_IN_TENSOR, len(raw))
        length = len(content) + len(value) + (0 if raw is None else len(raw))
        yield _tag(_INITIALIZER_IN_GRAPH, length) + content + value
        if raw is not None:
            yield raw
    yield _without(graph, ("node", "name", "initializer"))


def _bytes(array: NDArray) -> memoryview:
    """An array's values as ONNX keeps them, the lowest byte first, without a copy of them."""
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _without(message: onnx.ModelProto | onnx.GraphProto, fields: tuple[str, ...]) -> bytes:
    rest = type(message)()
    for field, value in message.ListFields():
        if field.name in fields:
            continue
        if field.is_repeated:
            getattr(rest, field.name).extend(value)
        elif field.message_type is not None:
            getattr(rest, field.name).CopyFrom(value)
        else:
            setattr(rest, field.name, value)
    return rest.SerializeToString(deterministic=True)


def _tag(field: int, length: int) -> bytes:
    """The key of a field that holds bytes, and how many: both as numbers of seven bits a byte."""
    found = bytearray()
    for number in (field << 3 | 2, length):
        while number > 0x7F:
            found.append(number & 0x7F | 0x80)
            number >>= 7
        found.append(number)
    return bytes(found)


def _put(pieces: list[bytes | memoryview], destination: Path) -> None:
    unfinished = destination.with_name(f".{destination.stem}-{secrets.token_hex(4)}")
    try:
        try:
            with unfinished.open("xb") as file:
                _write_all(file, pieces)
            unfinished.replace(destination)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ModelFileError(
            f"{destination} cannot be written: {error.strerror or error}. "
            "Make room on the disk, or choose another folder for models."
        ) from error


def _write_all(file: BinaryIO, pieces: list[bytes | memoryview]) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()
    os.fsync(file.fileno())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
