"""Makes `tests/models/building/recorded/*.onnx`: tiny networks, exported as people export them.

    pip install torch timm transformers onnx onnxscript
    python tools/record_onnx.py

They are timm's and transformers' own architectures, of a few thousand random weights (seed 0),
exported with PyTorch's old exporter and its new one (dynamo), for one image at a time and for any
number. `expected.npz` holds what the original gives for two pictures: the layer before the
classifier, or what the file's name says. Both are what `tests/models/building/test_onnx_images.py`
reads; `parity.py` compares the architectures in their real size.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import timm.models
import torch
import transformers
from numpy.typing import NDArray
from parity import Output, WithMatMul, as_onnx, before_logits, put, randomised
from timm.models._efficientnet_builder import decode_arch_def
from torch import nn

FOLDER = Path(__file__).parents[1] / "tests" / "models" / "building" / "recorded"

SIZE = 32

#: Name, network, what it embeds, open batch, new exporter.
Row = tuple[str, nn.Module, Callable[[torch.Tensor], torch.Tensor], bool, bool]


def pictures(count: int) -> NDArray[np.uint8]:
    """As `tests.models.building.networks.images` makes them."""
    found = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    gradient = np.linspace(0, 255, SIZE * SIZE * 3).reshape(SIZE, SIZE, 3)
    found[-1] = gradient.astype(np.uint8)
    return found[:count]


def resnet() -> nn.Module:
    block = timm.models.resnet.BasicBlock
    return timm.models.ResNet(block, (1, 1, 1, 1), 5, channels=(4, 4, 6, 8), stem_width=4)


def vit(**settings: object) -> nn.Module:
    return timm.models.VisionTransformer(
        SIZE, 8, num_classes=5, embed_dim=12, depth=2, num_heads=2, **settings
    )


def convnext() -> nn.Module:
    return timm.models.ConvNeXt(num_classes=5, depths=(1, 1, 1, 1), dims=(4, 6, 8, 10))


def mobilenet() -> nn.Module:
    blocks = decode_arch_def([["ds_r1_k3_s2_e1_c8"], ["ir_r1_k3_s2_e3_c12"]])
    return timm.models.MobileNetV3(blocks, num_classes=5, num_features=16, stem_size=8)


def with_matmul(network: nn.Module) -> nn.Module:
    put(network, network.get_classifier(), WithMatMul(network.get_classifier()))
    return network


def of_timm() -> Iterator[Row]:
    for name, make, open_batch, dynamo in (
        ("resnet-matmul-open", lambda: with_matmul(resnet()), True, False),
        ("resnet-dynamo-open", resnet, True, True),
        ("vit-gemm-open", vit, True, False),
        ("vit-matmul-static", lambda: with_matmul(vit()), False, False),
        ("convnext-gemm-static", convnext, False, False),
        ("mobilenet-gemm-open", mobilenet, True, False),
    ):
        network = randomised(make())
        yield name, network, before_logits(network), open_batch, dynamo


def of_transformers() -> Iterator[Row]:
    small = {
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "image_size": SIZE,
        "patch_size": 8,
    }
    config = transformers.ViTConfig(**small, num_labels=5)
    network = randomised(transformers.ViTForImageClassification(config))
    embed = network.vit
    yield (
        "transformers-vit-open",
        Output(network, "logits").eval(),
        lambda x: embed(x).last_hidden_state[:, 0],
        True,
        False,
    )
    config = transformers.Dinov2Config(**small | {"image_size": 56}, mlp_ratio=2)
    dino = randomised(transformers.Dinov2Model(config))
    yield (
        "dinov2-class-token",
        Output(dino, "last_hidden_state").eval(),
        lambda x: dino(x).last_hidden_state[:, 0],
        True,
        False,
    )
    config = transformers.CLIPVisionConfig(**small, projection_dim=7)
    clip = randomised(transformers.CLIPVisionModelWithProjection(config))
    yield (
        "clip-images",
        Output(clip, "image_embeds").eval(),
        lambda x: clip(x).image_embeds,
        True,
        False,
    )


def record_texts(expected: dict[str, NDArray]) -> None:
    """CLIP's half for texts, and what it gives for three texts of six tokens."""
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(
        vocab_size=50,
        hidden_size=12,
        intermediate_size=16,
        projection_dim=7,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=48,
        eos_token_id=49,
        pad_token_id=49,
    )
    network = transformers.CLIPTextModelWithProjection(config).eval()
    tokens = np.random.default_rng(0).integers(0, 48, (3, 6))
    tokens[:, 0], tokens[:, -1] = 48, 49
    torch.onnx.export(
        Output(network, "text_embeds").eval(),
        (torch.from_numpy(tokens),),
        FOLDER / "clip-texts.onnx",
        dynamo=False,
        input_names=["input_ids"],
        output_names=["text_embeds"],
        dynamic_axes={"input_ids": {0: "batch", 1: "tokens"}, "text_embeds": {0: "batch"}},
    )
    expected["clip-texts-tokens"] = tokens
    with torch.no_grad():
        expected["clip-texts"] = network(torch.from_numpy(tokens)).text_embeds.numpy()


def strip(path: Path) -> None:
    """Take out where in which file each node comes from, which is as large as all the rest."""
    proto = onnx.load_model(path, load_external_data=False)
    graph = proto.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        del part.metadata_props[:]
    del graph.metadata_props[:]
    path.write_bytes(proto.SerializeToString(deterministic=True))


def main() -> None:
    """Write the files and say how large they are."""
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(exist_ok=True)
    expected: dict[str, NDArray] = {}
    for rows in (of_timm(), of_transformers()):
        for name, network, embed, open_batch, dynamo in rows:
            example = torch.zeros(1, 3, SIZE, SIZE)
            path = FOLDER / f"{name}.onnx"
            as_onnx(network, example, path, open_batch=open_batch, dynamo=dynamo)
            strip(path)
            images = pictures(2 if open_batch else 1)
            x = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
            with torch.no_grad():
                expected[name] = embed(x).flatten(1).numpy()
            print(name, expected[name].shape, path.stat().st_size)
    record_texts(expected)
    np.savez(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
