"""Finds the layer before the classifier in a network, whoever exported it.

A classifier ends with a dense layer that gives a number for each class: a Gemm, a MatMul with its
bias added, or a convolution of 1 x 1. What goes into it is the embedding. After it, there may be a
softmax and what changes shapes and types only; anything else means that the output is not that of
a classifier, and then nothing is cut: a layer further inside would be somebody's guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from orangecontrib.imageanalytics.models.building.onnx_network import Network, Shape
from orangecontrib.imageanalytics.models.recipes import Pooling
from orangecontrib.imageanalytics.outcome import ModelFileError

#: What may come after a classifier: none of it mixes the features of an image.
_AFTER = {
    *("Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast", "Dropout", "Clip"),
    *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
    *("GlobalAveragePool", "AveragePool", "ReduceMean"),
}
#: What may come after it with a constant: a bias, a temperature.
_WITH_CONSTANT = {"Add", "Sub", "Mul", "Div"}

_DENSE = {"Gemm", "MatMul"}

_MOST_FORKS = 3


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to cut.

    Attributes
    ----------
    tensor : str
        What goes into the classifier.
    pooling : Pooling
        How a vector is made of it.
    """

    tensor: str
    pooling: Pooling


def before_classifier(network: Network, output: str, shapes: dict[str, Shape]) -> Cut:
    """Find what goes into the classifier that an output comes from.

    Parameters
    ----------
    network : Network
        The network.
    output : str
        The numbers of the classes.
    shapes : dict
        The shapes of its tensors for one image.

    Raises
    ------
    ModelFileError
        If the output does not come from one dense layer.
    """
    features = _features(network, output, output)
    return _cut(network, features, shapes)


def _features(network: Network, output: str, name: str, forks: int = 0) -> str:
    """What goes into the dense layer that a tensor on the way to the output comes from."""
    constants, producers = network.constants, network.producers
    for _ in range(len(producers) + 1):  # a graph that goes round in circles is not followed
        node = producers.get(name)
        if node is None:
            break
        varying = sorted({given for given in node.input if given and given not in constants})
        if _is_classifier(node, varying, constants):
            return node.input[0]
        if node.op_type not in _AFTER | _WITH_CONSTANT:
            raise _refusal(network, output, f"there is a {node.op_type} after the last dense layer")
        if len(varying) == 1:
            (name,) = varying
            continue
        # Distilled networks have two classifiers, and give the mean of both.
        found = set()
        if forks < _MOST_FORKS:
            found = {_features(network, output, one, forks + 1) for one in varying}
        if len(found) != 1:
            raise _refusal(network, output, f"a {node.op_type} puts several layers together")
        return found.pop()
    raise _refusal(network, output, "no dense layer is found")


def _is_classifier(node: onnx.NodeProto, varying: list[str], constants: set[str]) -> bool:
    """Whether it is a layer with weights of its own, whose first input is the features."""
    weighted = len(node.input) > 1 and node.input[1] in constants and varying == [node.input[0]]
    if node.op_type == "Conv":
        sides = next((a.ints for a in node.attribute if a.name == "kernel_shape"), ())
        return weighted and all(side == 1 for side in sides) and bool(sides)
    flipped = any(a.name == "transA" and a.i for a in node.attribute)
    return node.op_type in _DENSE and weighted and not flipped


def _cut(network: Network, features: str, shapes: dict[str, Shape]) -> Cut:
    shape = shapes.get(features)
    if shape is None:
        raise network.wrong(
            f"does not say what shape {features!r} has, which goes into its classifier. "
            "Export it once more with images of a fixed size."
        )
    long = [side for side in shape[1:] if side != 1]
    if len(shape) == 2 or len(long) <= 1:
        return Cut(features, Pooling.NONE)
    if len(shape) == 4:
        return Cut(features, Pooling.SPATIAL)
    if len(shape) == 3:
        return Cut(features, Pooling.MEAN_TOKEN)
    raise network.wrong(
        f"has a classifier of tensors of {len(shape)} axes, which is not understood."
    )


def _refusal(network: Network, output: str, why: str) -> ModelFileError:
    return network.wrong(
        f"does not end with a classifier: {why}, before its output {output!r}. "
        "If that output is an embedding already, say so; else name the tensor that is."
    )
