"""Writes convolutional networks as ONNX files, one node at a time; what the export programs share.

Both networks begin with the same kind of input, `uint8 [N, H, W, 3]` RGB, and make of it what
they were trained on by nodes of the graph. Written by hand rather than by a framework's exporter, a
graph has the nodes that are named here and no others, and the same weights give the same bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from orangecontrib.imageanalytics.models.catalogue import Model

#: Old enough for every onnxruntime that we allow (from 1.18 on), and it has all operators used.
OPSET = 17
IR_VERSION = 8


class Graph:
    """A network under construction; every method adds a node and returns its output's name."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray) -> str:
        """A named array, of weights or of parameters."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, name: str, **attributes: object) -> str:
        """Any ONNX operator with one output, which gets the node's name."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def image(self, mean: ArrayLike, scale: float | None = None, bgr: bool = False) -> str:
        """The input: uint8 RGB to float32 `(x - mean) / scale` in the network's channel order.

        Parameters
        ----------
        mean : float or sequence of three float
            What is subtracted, in the network's order of channels and on the scale 0-255.
        scale : float, optional
            What the difference is divided by.
        bgr : bool
            Whether the network wants blue first.
        """
        x = self.node("Transpose", "image", name="channels_first", perm=[0, 3, 1, 2])
        if bgr:
            order = self.constant("blue_green_red", np.array([2, 1, 0]))
            x = self.node("Gather", x, order, name="bgr", axis=1)
        x = self.node("Cast", x, name="pixels", to=TensorProto.FLOAT)
        means = np.broadcast_to(np.asarray(mean, np.float32), 3).reshape(1, 3, 1, 1)
        x = self.node("Sub", x, self.constant("mean", means), name="centred")
        if scale is not None:
            divisor = self.constant("scale", np.array(scale, np.float32))
            x = self.node("Div", x, divisor, name="scaled")
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

    def pooled(self, x: str, name: str) -> str:
        """The mean over all places, a vector per image."""
        return self.node(
            "Flatten", self.node("GlobalAveragePool", x, name=f"{name}/mean"), name=name
        )

    def save(self, path: Path, output: str, dimension: int, facts: dict[str, str]) -> None:
        """Check the graph and write it with what is known of it as metadata.

        Parameters
        ----------
        path : Path
            The file to write.
        output : str
            The node whose output is the embedding.
        dimension : int
            Length of an embedding.
        facts : dict
            Metadata beside what the catalogue says.
        """
        height, width = self.model.input_size
        graph = helper.make_graph(
            self.nodes,
            self.model.id,
            [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", height, width, 3])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", dimension])],
            self.constants,
        )
        opset = helper.make_opsetid("", OPSET)
        proto = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        helper.set_model_props(proto, self._metadata() | facts)
        onnx.checker.check_model(proto, full_check=True)
        path.write_bytes(proto.SerializeToString(deterministic=True))

    def _metadata(self) -> dict[str, str]:
        model = self.model
        return {
            "id": model.id,
            "title": model.title,
            "licence": model.licence,
            "trained_on": model.trained_on,
            "layer": model.layer,
            "citation": model.citation,
        }


def report(path: Path) -> None:
    """Print what was written: the file, its size in bytes and its SHA-256."""
    content = path.read_bytes()
    print(f"{path}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
