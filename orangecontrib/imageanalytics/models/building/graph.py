"""Writes networks as ONNX graphs, one node at a time.

Each begins with the same kind of input, `uint8 [N, H, W, 3]` RGB, and makes of it what the network
was trained on by nodes of the graph. Written by hand rather than by a framework's exporter, a graph
has the nodes that are named here and no others, and the same weights give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from orangecontrib.imageanalytics.models.building.writing import LARGE, write
from orangecontrib.imageanalytics.models.recipes import Facts, Pixels

#: Old enough for every onnxruntime that we allow (from 1.18 on), and it has all operators used.
OPSET = 17
IR_VERSION = 8

#: The name of the input in every file.
IMAGE = "image"


class Graph:
    """A network under construction; every method adds a node and returns its output's name.

    Parameters
    ----------
    name : str
        What the graph is called.
    size : tuple of int
        Height and width of the images in pixels.
    """

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self.name = name
        self.size = size
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.arrays: dict[str, NDArray] = {}

    def constant(self, name: str, value: NDArray) -> str:
        """A named array, of weights or of parameters."""
        if value.nbytes < LARGE:
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            self.constants.append(onnx.TensorProto(name=name, data_type=kind, dims=value.shape))
            self.arrays[name] = value
        return name

    def node(
        self, operator: str, *inputs: str, name: str, others: Sequence[str] = (), **attributes: Any
    ) -> str:
        """Any ONNX operator; its first output gets the node's name, and `others` are not used."""
        outputs = [name, *others]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return name

    def pixels(self, pixels: Pixels) -> str:
        """The input, prepared as a network's config says: `float32 [N, 3, H, W]`."""
        scale = 255 * np.asarray(pixels.std)
        return self.image(255 * np.asarray(pixels.mean), scale, pixels.bgr)

    def image(self, mean: ArrayLike, scale: ArrayLike | None = None, bgr: bool = False) -> str:
        """The input: uint8 RGB to float32 `(x - mean) / scale` in the network's channel order.

        Parameters
        ----------
        mean : float or sequence of three float
            What is subtracted, in the network's order of channels and on the scale 0-255.
        scale : float or sequence of three float, optional
            What the difference is divided by.
        bgr : bool
            Whether the network wants blue first.
        """
        x = self.node("Transpose", IMAGE, name="channels_first", perm=[0, 3, 1, 2])
        if bgr:
            order = self.constant("blue_green_red", np.array([2, 1, 0]))
            x = self.node("Gather", x, order, name="bgr", axis=1)
        x = self.node("Cast", x, name="pixels", to=TensorProto.FLOAT)
        means = np.broadcast_to(np.asarray(mean, np.float32), 3).reshape(1, 3, 1, 1)
        x = self.node("Sub", x, self.constant("mean", means), name="centred")
        if scale is not None:
            divisor = np.asarray(scale, np.float32)
            if divisor.ndim:
                divisor = divisor.reshape(1, 3, 1, 1)
            x = self.node("Div", x, self.constant("scale", divisor), name="scaled")
        return x

    def conv(
        self,
        x: str,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        name: str,
        stride: int = 1,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
    ) -> str:
        """Convolution: kernels [out, in / groups, height, width]; pads top, left, bottom, right."""
        return self.node(
            "Conv",
            x,
            self.constant(f"{name}/weights", weights),
            self.constant(f"{name}/bias", bias),
            name=name,
            kernel_shape=weights.shape[2:],
            strides=[stride, stride],
            pads=pads,
            group=groups,
        )

    def dense(
        self, x: str, weights: NDArray[np.float32], bias: NDArray[np.float32], *, name: str
    ) -> str:
        """A fully connected layer of [N, in]: weights [out, in]."""
        names = self.constant(f"{name}/weights", weights), self.constant(f"{name}/bias", bias)
        return self.node("Gemm", x, *names, name=name, transB=1)

    def relu(self, x: str) -> str:
        """Negative numbers become zero."""
        return self.node("Relu", x, name=f"{x}/relu")

    def max_pool(
        self, x: str, name: str, side: int, stride: int, pads: Sequence[int] = (0, 0, 0, 0)
    ) -> str:
        """The largest number in each square."""
        return self.node(
            "MaxPool", x, name=name, kernel_shape=[side] * 2, strides=[stride] * 2, pads=list(pads)
        )

    def pooled(self, x: str, name: str) -> str:
        """The mean over all places, a vector per image."""
        return self.node(
            "Flatten", self.node("GlobalAveragePool", x, name=f"{name}/mean"), name=name
        )

    def proto(self, output: str, dimension: int) -> onnx.ModelProto:
        """The network, without metadata; `output` is the node that is the embedding.

        Large constants have no values in it: these are in `arrays`.
        """
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["N", *self.size, 3])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", dimension])],
            self.constants,
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)

    def save(self, path: Path, output: str, dimension: int, facts: Facts) -> None:
        """Check the graph and write it with what is known of it as metadata, whole or not at all.

        Parameters
        ----------
        path : Path
            The file to write; one that is there already is replaced.
        output : str
            The node whose output is the embedding.
        dimension : int
            Length of an embedding.
        facts : mapping
            Metadata.

        Raises
        ------
        ModelFileError
            If it cannot be written.
        """
        write(self.proto(output, dimension), path, facts, self.arrays)
