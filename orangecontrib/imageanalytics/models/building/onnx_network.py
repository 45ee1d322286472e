"""An ONNX file that others made, looked at and made smaller: only what one tensor needs is kept.

Its operators must be ONNX's own, and its weights finite numbers in the file itself or in files that
are handed over with it: no path that it names is ever opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, helper, inliner, shape_inference

from orangecontrib.imageanalytics.models.building.files import broken, file_beside, main_file
from orangecontrib.imageanalytics.models.building.writing import LARGE
from orangecontrib.imageanalytics.outcome import ModelFileError

#: ONNX's own operators; those of onnxruntime, such as com.microsoft's, differ between its builds.
_DOMAINS = {"", "ai.onnx"}

#: Before it, a smaller tensor was fitted to a larger one in another way than NumPy's.
_OLDEST_OPSET = 7

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A graph, with its large weights outside of it.

    Attributes
    ----------
    path : Path
        The file, for messages.
    proto : onnx.ModelProto
        The graph.
    arrays : dict of str to ndarray
        The values of initializers that have none in it.
    """

    path: Path
    proto: onnx.ModelProto
    arrays: dict[str, NDArray]

    @property
    def constants(self) -> set[str]:
        """The names of the tensors that are the same for all images."""
        found = {tensor.name for tensor in self.proto.graph.initializer}
        for node in self.proto.graph.node:
            if all(name in found for name in node.input if name) and not node.op_type.startswith(
                "Random"
            ):
                found.update(node.output)
        return found

    @property
    def producers(self) -> dict[str, onnx.NodeProto]:
        """The node that computes each tensor."""
        return {name: node for node in self.proto.graph.node for name in node.output if name}

    @property
    def names(self) -> set[str]:
        """All names of tensors that are in use."""
        graph = self.proto.graph
        used = {name for node in all_nodes(graph) for name in (*node.input, *node.output)}
        return used | {info.name for info in graph.input} | {t.name for t in graph.initializer}

    def inputs(self) -> list[onnx.ValueInfoProto]:
        """What has to be given: old files list their weights as inputs too."""
        weights = {tensor.name for tensor in self.proto.graph.initializer}
        return [info for info in self.proto.graph.input if info.name not in weights]

    def wrong(self, fault: str) -> ModelFileError:
        """What to raise if it is of no use."""
        return ModelFileError(f"{self.path} {fault}")


def load(files: Mapping[str, Path]) -> Network:
    """Read an ONNX file and the weights beside it.

    Raises
    ------
    ModelFileError
        If a file is missing or broken, or the graph has other operators than ONNX's own.
    """
    path = main_file(files)
    try:
        proto = onnx.load_model(path, load_external_data=False)
        if not proto.graph.node:
            raise ValueError("it has no graph")
        if proto.functions:
            proto = inliner.inline_local_functions(proto)
    except (DecodeError, ValueError, OSError, RuntimeError) as error:
        raise broken(path, f"as an ONNX file, {error}") from error
    network = Network(path, proto, {})
    _check_operators(network)
    _forget_origins(proto.graph)
    for tensor in proto.graph.initializer:
        _take_out(network, tensor, files)
    return network


def _check_operators(network: Network) -> None:
    for node in all_nodes(network.proto.graph):
        if node.domain not in _DOMAINS:
            raise network.wrong(
                f"needs the operator {node.op_type} of {node.domain}, which is not ONNX's own. "
                "Take the file that is neither optimised nor quantised, often model.onnx."
            )
        if any(tensor.external_data for tensor in _tensors_of(node)):
            raise network.wrong(f"keeps a part of its node {node.name!r} in another file.")
    if any(map(_is_elsewhere, network.proto.graph.sparse_initializer)):
        raise network.wrong("keeps sparse weights in another file.")
    opsets = [o.version for o in network.proto.opset_import if o.domain in _DOMAINS]
    if not opsets or min(opsets) < _OLDEST_OPSET:
        raise network.wrong(f"is too old: it needs opset {_OLDEST_OPSET} or later.")


def _tensors_of(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    """What is fixed in a node, and in graphs inside it."""
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        sparse = [attribute.sparse_tensor, *attribute.sparse_tensors]
        for inner in (attribute.g, *attribute.graphs):
            yield from inner.initializer
            sparse += inner.sparse_initializer
        for one in sparse:
            yield from (one.values, one.indices)


def _is_elsewhere(sparse: onnx.SparseTensorProto) -> bool:
    return bool(sparse.values.external_data or sparse.indices.external_data)


def _forget_origins(graph: onnx.GraphProto) -> None:
    """Drop what exporters say of where each node comes from: paths and lines of source text."""
    for node in graph.node:
        node.ClearField("doc_string")
        if hasattr(node, "metadata_props"):
            del node.metadata_props[:]


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_nodes(inner)


def _take_out(network: Network, tensor: onnx.TensorProto, files: Mapping[str, Path]) -> None:
    """Move a weight's values out of the graph if it is large, and check that they are numbers."""
    try:
        kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except KeyError as error:
        raise network.wrong(f"has weights {tensor.name!r} of an unknown kind.") from error
    outside = tensor.data_location == TensorProto.EXTERNAL
    if not outside and len(tensor.raw_data) < LARGE:
        _check_small(network, tensor, kind)
        return
    count = math.prod(tensor.dims)
    if outside:
        values = _read_beside(network, tensor, files, kind, count)
        del tensor.external_data[:]
        tensor.ClearField("data_location")
    elif len(tensor.raw_data) != count * kind.itemsize:
        raise network.wrong(f"has weights {tensor.name!r} of another length than their shape's.")
    else:
        values = np.frombuffer(tensor.raw_data, kind)
    tensor.ClearField("raw_data")
    if kind.kind == "f" and not np.isfinite(values).all():
        raise network.wrong(f"has weights {tensor.name!r} that are not all finite numbers.")
    if values.nbytes < LARGE:
        tensor.raw_data = values.tobytes()
    else:
        network.arrays[tensor.name] = values


def _check_small(network: Network, tensor: onnx.TensorProto, kind: np.dtype[Any]) -> None:
    """Refuse what is no number; infinity may be meant, in masks of attention."""
    whole = len(tensor.raw_data) % kind.itemsize == 0
    if kind.kind == "f" and whole and np.isnan(np.frombuffer(tensor.raw_data, kind)).any():
        raise network.wrong(f"has weights {tensor.name!r} that are not all numbers.")


def _read_beside(
    network: Network,
    tensor: onnx.TensorProto,
    files: Mapping[str, Path],
    kind: np.dtype[Any],
    count: int,
) -> NDArray:
    said = {entry.key: entry.value for entry in tensor.external_data}
    file = file_beside(files, said.get("location", ""))
    try:
        offset, length = int(said.get("offset", 0)), count * kind.itemsize
        fits = offset >= 0 and offset + length <= file.stat().st_size
        if not fits or int(said.get("length", length)) != length:
            raise ValueError("it does not have the bytes that are said")
        if not length:
            return np.empty(0, kind)
        return np.memmap(file, kind, "r", offset, (count,))
    except (OSError, ValueError) as error:
        raise broken(file, f"as the weights of {network.path.name}, {error}") from error


def shapes_of(network: Network, fixed: Mapping[str, Iterable[int]]) -> dict[str, Shape]:
    """The shapes of all tensors for inputs of these shapes, as far as they can be told.

    Parameters
    ----------
    network : Network
        The network.
    fixed : mapping of str to sequence of int
        Shapes to give to inputs, for one image or text.

    Returns
    -------
    dict of str to tuple
        By name; None for a side that cannot be told, and no entry where not even their number can.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(network.proto)
    for tensor in list(proto.graph.initializer):
        if tensor.name in network.arrays:
            proto.graph.initializer.remove(tensor)
            dims = list(tensor.dims)
            given = helper.make_tensor_value_info(tensor.name, tensor.data_type, dims)
            if tensor.name not in {info.name for info in proto.graph.input}:
                proto.graph.input.append(given)
    for info in proto.graph.input:
        if info.name in fixed:
            kind = info.type.tensor_type.elem_type
            info.CopyFrom(helper.make_tensor_value_info(info.name, kind, list(fixed[info.name])))
    del proto.graph.value_info[:]
    for info in proto.graph.output:
        info.type.tensor_type.ClearField("shape")
    try:
        proto = shape_inference.infer_shapes(proto, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError) as error:
        raise network.wrong(f"has shapes that do not fit together: {error}") from error
    infos = (*proto.graph.input, *proto.graph.value_info, *proto.graph.output)
    return {info.name: shape for info in infos if (shape := shape_of(info)) is not None}


def shape_of(info: onnx.ValueInfoProto) -> Shape | None:
    """The shape that is stated; None for a side that is open, or if there is none."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None
        for side in tensor.shape.dim
    )


def pruned(network: Network, tensor: str) -> Network:
    """Only the nodes, weights and inputs that a tensor is computed from.

    Raises
    ------
    ModelFileError
        If there is no such tensor.
    """
    graph = network.proto.graph
    if tensor not in network.producers:
        outputs = ", ".join(info.name for info in graph.output)
        raise network.wrong(f"has no tensor {tensor!r}; its outputs are {outputs}.")
    needed, nodes = {tensor}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(_used(node))
    proto = onnx.ModelProto()
    proto.CopyFrom(network.proto)
    small = proto.graph
    for field in ("node", "initializer", "input", "output", "value_info", "sparse_initializer"):
        small.ClearField(field)
    del small.quantization_annotation[:]
    small.node.extend(reversed(nodes))
    small.initializer.extend(t for t in graph.initializer if t.name in needed)
    small.sparse_initializer.extend(t for t in graph.sparse_initializer if t.values.name in needed)
    small.input.extend(info for info in network.inputs() if info.name in needed)
    arrays = {name: values for name, values in network.arrays.items() if name in needed}
    return Network(network.path, proto, arrays)


def _used(node: onnx.NodeProto) -> Iterator[str]:
    """What a node needs, and what graphs inside it take from outside."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for other in all_nodes(inner):
                yield from (name for name in other.input if name)
            yield from (info.name for info in inner.output)
