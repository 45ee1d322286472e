"""Compares what `models.building` makes with the original networks in PyTorch, on random weights.

    pip install torch torchvision timm transformers onnxscript h5py
    python tools/parity.py [NAME ...] [--keep FOLDER]

Each network gets random weights (seed 0), is saved as its authors save theirs, or exported to ONNX,
goes through `building.build`, and is given the same two pictures, noise and a gradient. What is
printed is the largest difference from the original, by the largest number in its embedding; the
program fails if one is above 1e-4. Nothing is downloaded. It takes about ten minutes.
`make parity` does all of it; `benchmarks/built_models.py` times the files that --keep keeps.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import onnxruntime
import timm
import torch
import torchvision
import transformers
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from orangecontrib.imageanalytics.models.building import build
from orangecontrib.imageanalytics.models.recipes import (
    CLIP_MEAN,
    CLIP_STD,
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    INCEPTION_2015,
    MAIN,
    InceptionV3,
    OnnxImages,
    OnnxTexts,
    Painters,
    Pixels,
    Pooling,
    Recipe,
    Vgg,
)

LIMIT = 1e-4

Embed = Callable[[torch.Tensor], torch.Tensor]
Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class Case:
    """One network: how it is written into a folder, and what it gives for prepared pictures."""

    name: str
    recipe: Recipe
    write: Callable[[Path], Path]
    embed: Embed
    batch: int = 2


def randomised(network: nn.Module) -> nn.Module:
    """Weights that keep what is computed from growing, and batch statistics that do something."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


def as_safetensors(network: nn.Module, folder: Path) -> Path:
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


def as_state_dict(network: nn.Module, folder: Path, *, legacy: bool) -> Path:
    path = folder / "weights.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    return path


def as_onnx(
    network: nn.Module, example: torch.Tensor, path: Path, *, open_batch: bool, dynamo: bool
) -> Path:
    """Export a network with one input and one output."""
    names = {"input_names": ["x"], "output_names": ["y"]}
    if dynamo:
        open_axes = ({0: torch.export.Dim("batch")},) if open_batch else None
        example = example.repeat(2, *(1,) * (example.ndim - 1)) if open_batch else example
        torch.onnx.export(
            network, (example,), path, dynamo=True, dynamic_shapes=open_axes, verbose=False, **names
        )
    else:
        # As optimum exports them for the hub: every side of a picture is open, too.
        sides = {0: "batch", 1: "channels", 2: "height", 3: "width"}
        axes = {"x": sides, "y": {0: "batch"}} if open_batch else None
        torch.onnx.export(network, (example,), path, dynamo=False, dynamic_axes=axes, **names)
    return path


class WithMatMul(nn.Module):
    """A dense layer that is exported as MatMul and Add, as TensorFlow's are, not as Gemm."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().t().contiguous())
        self.bias = layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.matmul(x, self.weight) + self.bias


class Output(nn.Module):
    """One of the outputs of a network of transformers."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)[self.name]


def of_safetensors(is_wanted: Wanted) -> Iterator[Case]:
    """The networks whose graphs are ours."""
    for name, recipe in (
        ("vgg16", Vgg(16)),
        ("vgg19", Vgg(19)),
        ("inception_v3", InceptionV3()),
    ):
        if not is_wanted(f"{name}, safetensors"):
            continue
        network = randomised(timm.create_model(f"{name}.tv_in1k"))
        cfg = network.pretrained_cfg
        assert recipe.pixels == Pixels(cfg["input_size"][1:], cfg["mean"], cfg["std"])
        yield Case(
            f"{name}, safetensors", recipe, partial(as_safetensors, network), before_logits(network)
        )


def before_logits(network: nn.Module) -> Embed:
    """Timm's own word for the layer before the classifier."""
    return lambda x: network.forward_head(network.forward_features(x), pre_logits=True).flatten(1)


def inception_2015() -> nn.Module:
    """Torchvision's Inception with the pools that pytorch-fid's patches give it."""
    network = torchvision.models.inception_v3(aux_logits=False, init_weights=False)

    def averaging(block: nn.Module) -> None:
        def mean(x: torch.Tensor, **settings: int) -> torch.Tensor:
            return mean_pool(x, **settings, count_include_pad=False)

        plain = type(block)._forward

        def forward(x: torch.Tensor) -> list[torch.Tensor]:
            with swapped("avg_pool2d", mean):
                return plain(block, x)

        block._forward = forward

    def largest(block: nn.Module) -> None:
        plain = type(block)._forward

        def forward(x: torch.Tensor) -> list[torch.Tensor]:
            with swapped("avg_pool2d", functional.max_pool2d):
                return plain(block, x)

        block._forward = forward

    for name in ["5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"]:
        averaging(getattr(network, f"Mixed_{name}"))
    largest(network.Mixed_7c)
    network.fc = nn.Identity()
    network.dropout = nn.Identity()
    network.transform_input = False
    return network


mean_pool = functional.avg_pool2d


class swapped:
    """For a while, another function in torch.nn.functional."""

    def __init__(self, name: str, function: Callable) -> None:
        self._name, self._function = name, function

    def __enter__(self) -> None:
        self._before = getattr(functional, self._name)
        setattr(functional, self._name, self._function)

    def __exit__(self, *_: object) -> None:
        setattr(functional, self._name, self._before)


def of_state_dicts(is_wanted: Wanted) -> Iterator[Case]:
    """Inception of 2015-12-05, in both of PyTorch's formats."""
    for legacy in (True, False):
        name = f"inception 2015-12-05, {'legacy' if legacy else 'zip'} .pth"
        if not is_wanted(name):
            continue
        network = randomised(inception_2015())
        write = partial(as_state_dict, network, legacy=legacy)
        yield Case(name, INCEPTION_2015, write, network)


def painters() -> nn.Module:
    """The network of train_cnn.py up to its embedding; its convolutions are PyTorch's."""
    recipe = Painters()
    layers: list[nn.Module] = []
    before, side = 3, recipe.pixels.size[0]
    for block in recipe.blocks:
        for channels in block:
            layers += [
                nn.Conv2d(before, channels, 3, padding=1),
                nn.BatchNorm2d(channels, eps=1e-3),
                Slopes(channels, side, side),
            ]
            before = channels
        layers.append(nn.MaxPool2d(2))
        side //= 2
    dense = nn.Linear(before * side * side, recipe.dimension)
    nn.init.kaiming_normal_(dense.weight)
    norm = nn.BatchNorm1d(recipe.dimension, eps=1e-3)
    return nn.Sequential(*layers, nn.Flatten(), dense, norm, Slopes(recipe.dimension))


class Slopes(nn.Module):
    """Keras's PReLU: a slope for each place."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.alphas = nn.Parameter(0.2 * torch.randn(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, self.alphas * x)


def as_keras1(network: nn.Module, folder: Path) -> Path:
    """What Keras 1 on Theano saves of the same network: kernels turned around, matrices too."""
    kinds = {
        nn.Conv2d: ("Convolution2D", lambda m: [m.weight.flip(2, 3), m.bias]),
        nn.Linear: ("Dense", lambda m: [m.weight.t(), m.bias]),
        Slopes: ("PReLU", lambda m: [m.alphas]),
    } | dict.fromkeys(
        (nn.BatchNorm2d, nn.BatchNorm1d),
        ("BatchNormalization", lambda m: [m.weight, m.bias, m.running_mean, m.running_var]),
    )
    config = []
    with h5py.File(folder / "cnn.h5", "w") as file:
        groups = file.create_group("model_weights")
        for number, module in enumerate(network):
            if type(module) in kinds:
                kind, weights = kinds[type(module)]
                said = {"name": f"layer_{number}", "epsilon": 1e-3, "mode": 0}
                config.append({"class_name": kind, "config": said})
                group = groups.create_group(said["name"])
                names = [f"{said['name']}_{i}" for i in range(len(weights(module)))]
                group.attrs["weight_names"] = [name.encode() for name in names]
                for name, weight in zip(names, weights(module), strict=True):
                    group[name] = weight.detach().numpy()
        groups.attrs["layer_names"] = [one["config"]["name"].encode() for one in config]
        file.attrs["model_config"] = json.dumps({"config": config}).encode()
    return folder / "cnn.h5"


def of_keras(is_wanted: Wanted) -> Iterator[Case]:
    """Painters."""
    if is_wanted("painters, Keras 1"):
        network = randomised(painters())
        yield Case("painters, Keras 1", Painters(), partial(as_keras1, network), network)


#: Architectures of timm: convolutional, transformers and others; with how they are exported.
CLASSIFIERS = (
    *("resnet18", "mobilenetv4_conv_medium", "mobilenetv3_small_050", "efficientnet_b0"),
    *("convnext_atto", "regnetx_002", "densenet121", "inception_v3", "vgg11"),
    *("vit_tiny_patch16_224", "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"),
    *("mixer_s32_224", "mobilevit_xxs", "efficientformer_l1", "cait_xxs24_224", "poolformer_s12"),
)


def of_classifiers(is_wanted: Wanted) -> Iterator[Case]:
    """Classifiers of timm, exported whole and cut before the classifier."""
    for number, name in enumerate(CLASSIFIERS):
        for open_batch in (False, True):
            if not is_wanted(f"{name}, Gemm MatMul, {_batch(open_batch)}"):
                continue
            network = randomised(timm.create_model(name))
            head = "Gemm"
            if number % 2 and isinstance(network.get_classifier(), nn.Linear):
                put(network, network.get_classifier(), WithMatMul(network.get_classifier()))
                head = "MatMul"
            cfg = network.pretrained_cfg
            pixels = Pixels(cfg["input_size"][1:], cfg["mean"], cfg["std"])
            yield exported(
                f"{name}, {head}", network, OnnxImages(pixels), before_logits(network), open_batch
            )
    for name in ("resnet18", "vit_tiny_patch16_224", "mobilenetv4_conv_medium"):
        if not is_wanted(f"{name}, static batch open batch, dynamo"):
            continue
        network = randomised(timm.create_model(name))
        cfg = network.pretrained_cfg
        recipe = OnnxImages(Pixels(cfg["input_size"][1:], cfg["mean"], cfg["std"]))
        for open_batch in (False, True):
            yield exported(name, network, recipe, before_logits(network), open_batch, dynamo=True)


def put(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in another's place."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)


def exported(
    name: str,
    network: nn.Module,
    recipe: OnnxImages,
    embed: Embed,
    open_batch: bool,
    *,
    dynamo: bool = False,
) -> Case:
    """A case of an ONNX file."""
    example = torch.zeros(1, 3, *recipe.pixels.size)
    write = partial(_export, network, example, open_batch, dynamo)
    title = f"{name}, {_batch(open_batch)}{', dynamo' if dynamo else ''}"
    return Case(title, recipe, write, embed, 2 if open_batch else 1)


def _batch(is_open: bool) -> str:
    return "open batch" if is_open else "static batch"


def _export(
    network: nn.Module, example: torch.Tensor, open_batch: bool, dynamo: bool, folder: Path
) -> Path:
    path = folder / "model.onnx"
    return as_onnx(network, example, path, open_batch=open_batch, dynamo=dynamo)


def of_transformers(is_wanted: Wanted) -> Iterator[Case]:
    """Networks of Hugging Face's transformers, among them those of the catalogue."""
    if not is_wanted("transformers' ViT ResNet classifier, DINOv2-small, CLIP ViT-B/32, images"):
        return
    imagenet = Pixels((224, 224), IMAGENET_MEAN, IMAGENET_STD)
    small = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3}
    config = transformers.ViTConfig(**small, intermediate_size=192, num_labels=7)
    vit = randomised(transformers.ViTForImageClassification(config))
    for open_batch in (False, True):
        yield exported(
            "transformers' ViT classifier",
            Output(vit, "logits").eval(),
            OnnxImages(Pixels((224, 224), HALF, HALF)),
            lambda x: vit.vit(x).last_hidden_state[:, 0],
            open_batch,
        )
    resnet = randomised(
        transformers.ResNetForImageClassification(
            transformers.ResNetConfig(embedding_size=16, hidden_sizes=[32, 64], depths=[1, 1])
        )
    )
    yield exported(
        "transformers' ResNet classifier",
        Output(resnet, "logits").eval(),
        OnnxImages(imagenet),
        lambda x: resnet.resnet(x).pooler_output.flatten(1),
        True,
    )
    dino = randomised(
        transformers.Dinov2Model(
            transformers.Dinov2Config(
                hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14
            )
        )
    )
    for pooling, embed in (
        (Pooling.CLASS_TOKEN, lambda x: dino(x).last_hidden_state[:, 0]),
        (Pooling.MEAN_TOKEN, lambda x: dino(x).last_hidden_state.mean(1)),
    ):
        recipe = OnnxImages(imagenet, "y", pooling, 384)
        network = Output(dino, "last_hidden_state").eval()
        yield exported(f"DINOv2-small, {pooling}", network, recipe, embed, True)
    clip = randomised(transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig()))
    yield exported(
        "CLIP ViT-B/32, images",
        Output(clip, "image_embeds").eval(),
        OnnxImages(Pixels((224, 224), CLIP_MEAN, CLIP_STD), "y", dimension=512),
        lambda x: clip(x).image_embeds,
        True,
    )


def prepared(recipe: Recipe, images: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures as timm's and transformers' own transforms make them, after resizing."""
    pixels = recipe.pixels
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return torchvision.transforms.functional.normalize(x, pixels.mean, pixels.std)


def pictures(recipe: Recipe, count: int) -> NDArray[np.uint8]:
    """Noise and a gradient."""
    shape = (*recipe.pixels.size, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    gradient = np.linspace(0, 255, np.prod(shape)).reshape(shape).astype(np.uint8)
    return np.stack([noise, gradient])[:count]


def check(case: Case, folder: Path) -> bool:
    """Build, compute and print; whether it agrees."""
    file = case.write(folder)
    files = {MAIN: file} | {path.name: path for path in folder.iterdir() if path != file}
    start = time.perf_counter()
    build(case.recipe, files, folder / "built.onnx")
    took = time.perf_counter() - start
    images = pictures(case.recipe, case.batch)
    session = onnxruntime.InferenceSession(folder / "built.onnx")
    name = session.get_inputs()[0].name
    (found,) = session.run(None, {name: images})
    with torch.no_grad():
        expected = case.embed(prepared(case.recipe, images)).numpy()
    return report(case.name, found, expected, took)


def report(name: str, found: NDArray, expected: NDArray, took: float) -> bool:
    """Print a line; whether both agree."""
    largest = np.abs(expected).max()
    difference = np.inf
    if found.shape == expected.shape:
        difference = np.abs(found - expected).max() / largest
    agrees = bool(difference < LIMIT)
    print(
        f"| {name} | {expected.shape[1]} | {largest:.3g} | {difference:.1e} | {took:.1f} | "
        f"{'yes' if agrees else 'NO'} |",
        flush=True,
    )
    return agrees


def check_texts(folder: Path) -> bool:
    """CLIP's other half: texts as numbers of tokens."""
    torch.manual_seed(0)
    network = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig()).eval()
    tokens = torch.randint(0, 49000, (3, 12))
    tokens[:, -1] = 49407
    torch.onnx.export(
        Output(network, "text_embeds").eval(),
        (tokens,),
        folder / "model.onnx",
        dynamo=False,
        input_names=["input_ids"],
        output_names=["text_embeds"],
        dynamic_axes={"input_ids": {0: "batch", 1: "tokens"}, "text_embeds": {0: "batch"}},
    )
    start = time.perf_counter()
    build(OnnxTexts("text_embeds", 512), {MAIN: folder / "model.onnx"}, folder / "built.onnx")
    took = time.perf_counter() - start
    session = onnxruntime.InferenceSession(folder / "built.onnx")
    (found,) = session.run(None, {"input_ids": tokens.numpy()})
    with torch.no_grad():
        return report("CLIP ViT-B/32, texts", found, network(tokens).text_embeds.numpy(), took)


def main() -> None:
    """Run the comparisons whose names contain one of the words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only what has one of these in its name")
    parser.add_argument("--keep", type=Path, help="a folder to keep the files in")
    arguments = parser.parse_args()
    wanted = arguments.names
    warnings.filterwarnings("ignore")

    def is_wanted(name: str) -> bool:
        return not wanted or any(word.lower() in name.lower() for word in wanted)

    print("| network | numbers | largest | difference | built in s | agrees |")
    print("|---|---|---|---|---|---|")
    agree = []
    for cases in (of_safetensors, of_state_dicts, of_keras, of_transformers, of_classifiers):
        for case in cases(is_wanted):
            if is_wanted(case.name):
                with tempfile.TemporaryDirectory() as folder:
                    agree.append(check(case, Path(folder)))
                    if arguments.keep:
                        name = case.name.replace("/", "-")
                        shutil.copy(Path(folder) / "built.onnx", arguments.keep / f"{name}.onnx")
    if is_wanted("CLIP ViT-B/32, texts"):
        with tempfile.TemporaryDirectory() as folder:
            agree.append(check_texts(Path(folder)))
    print(f"\n{sum(agree)} of {len(agree)} agree within {LIMIT:.0e}")
    raise SystemExit(not all(agree))


if __name__ == "__main__":
    main()
