"""What is put before and after a network that others made: preparation of pixels, and pooling.

The operators are those that mean the same in all opsets, as the network decides which one it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from orangecontrib.imageanalytics.models.building.cutting import Cut
from orangecontrib.imageanalytics.models.building.graph import IMAGE
from orangecontrib.imageanalytics.models.recipes import Pixels, Pooling

#: The name of the output, unless the network has a tensor of this name.
EMBEDDING = "embedding"


class Added:
    """Nodes and constants whose names the network does not use.

    Parameters
    ----------
    used : set of str
        Names that it uses.
    """

    def __init__(self, used: set[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._used = set(used)

    def name(self, name: str) -> str:
        """A name that nothing else has."""
        while name in self._used:
            name = f"{name}_"
        self._used.add(name)
        return name

    def node(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Any operator with one output, which gets a name like the node's."""
        name = self.name(name)
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: NDArray) -> str:
        """A small array."""
        name = self.name(name)
        self.constants.append(numpy_helper.from_array(value, name))
        return name


def prepare(
    added: Added, pixels: Pixels, image: onnx.ValueInfoProto, *, channels_first: bool
) -> str:
    """Add what makes of uint8 [N, H, W, 3] what a network takes under the name of its input.

    Returns
    -------
    str
        The name of the new input.
    """
    begin = x = added.name(IMAGE)
    if channels_first:
        x = added.node("Transpose", x, name="channels_first", perm=[0, 3, 1, 2])
    if pixels.bgr:
        order = added.constant("blue_green_red", np.array([2, 1, 0]))
        x = added.node("Gather", x, order, name="bgr", axis=1 if channels_first else 3)
    shape = (1, 3, 1, 1) if channels_first else (1, 1, 1, 3)
    mean, scale = (
        (255 * np.asarray(value)).astype(np.float32).reshape(shape)
        for value in (pixels.mean, pixels.std)
    )
    x = added.node("Cast", x, name="pixels", to=TensorProto.FLOAT)
    x = added.node("Sub", x, added.constant("mean", mean), name="centred")
    x = added.node("Div", x, added.constant("scale", scale), name="scaled")
    kind = image.type.tensor_type.elem_type
    added.nodes.append(helper.make_node("Cast", [x], [image.name], to=kind))
    return begin


def pool(added: Added, cut: Cut) -> str:
    """Add what makes one vector, float32 [N, D], of a tensor; return the name of it."""
    x = added.node("Cast", cut.tensor, name="features", to=TensorProto.FLOAT)
    if cut.pooling == Pooling.CLASS_TOKEN:
        first = added.constant("first", np.array(0))
        x = added.node("Gather", x, first, name="class_token", axis=1)
    if cut.pooling == Pooling.MEAN_TOKEN:
        x = added.node("Transpose", x, name="tokens_last", perm=[0, 2, 1])
    if cut.pooling in (Pooling.MEAN_TOKEN, Pooling.SPATIAL):
        x = added.node("GlobalAveragePool", x, name="mean_feature")
    return added.node("Flatten", x, name=EMBEDDING, axis=1)
