"""Writes small ONNX files whose embeddings can be told in advance: an image's mean colours.

The embedding has four numbers: the means of red, green and blue, and the sum of the three, of what
goes into the network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE = 8

#: From three channels to the four numbers.
WEIGHTS = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]], np.float32)

MEAN, STD = [0.5, 0.25, 0.125], [0.5, 0.25, 0.2]


def write_model(
    path: Path,
    kind: str = "uint8",
    *,
    shape: list | None = None,
    output: list | None = None,
    output_type: int = TensorProto.FLOAT,
    last: str = "Identity",
    factor: float = 1.0,
    external: str | None = None,
) -> Path:
    """Write a model.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What it takes: "uint8" [N, 8, 8, 3] or "float32" [N, 3, 8, 8].
    shape, output : list, optional
        Other shapes of input and output to declare.
    output_type : int
        The type of the output.
    last : str
        The operator before the output is converted to its type.
    factor : float
        What the four numbers are multiplied by.
    external : str, optional
        The file beside it to keep the weights in, by the name that is written into the model.
    """
    is_float = kind == "float32"
    shape = shape or (["N", 3, SIZE, SIZE] if is_float else ["N", SIZE, SIZE, 3])
    channel = 1 if is_float else 3
    axes = [axis for axis in (1, 2, 3) if axis != channel]
    weights = numpy_helper.from_array(WEIGHTS * np.float32(factor), "weights")
    if external:
        _move_out(weights, external)
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["sums"]),
        helper.make_node(last, ["sums"], ["last"]),
        helper.make_node("Cast", ["last"], ["embedding"], to=output_type),
    ]
    types = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
    save(
        path,
        nodes,
        [helper.make_tensor_value_info("image", types[kind], shape)],
        [helper.make_tensor_value_info("embedding", output_type, output or ["N", 4])],
        [weights],
    )
    return path


def save(path: Path, nodes: list, inputs: list, outputs: list, constants: list) -> None:
    """Write a model of these parts."""
    graph = helper.make_graph(nodes, "small", inputs, outputs, constants)
    opset = helper.make_opsetid("", 17)
    proto = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path.write_bytes(proto.SerializeToString())


def _move_out(tensor: onnx.TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


def write_weights(path: Path, factor: float = 1.0) -> Path:
    """Write the weights of `write_model(..., external=path.name)`."""
    path.write_bytes((WEIGHTS * np.float32(factor)).tobytes())
    return path


def images(count: int = 3) -> NDArray[np.uint8]:
    """Images of noise, uint8 [count, 8, 8, 3]."""
    return np.random.default_rng(1).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def mean_colours(pixels: NDArray) -> NDArray[np.float32]:
    """The embeddings of images [N, 8, 8, 3], as the network of `write_model` has them."""
    return (pixels.astype(np.float64).mean((1, 2)) @ WEIGHTS).astype(np.float32)
