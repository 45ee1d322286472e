"""A tiny CLIP, recorded by tools/record_clip.py, and a hub that serves it as the real one."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orangecontrib.imageanalytics.models import Model
from orangecontrib.imageanalytics.models.catalogue import MODELS
from tests.hub import Hub

HERE = Path(__file__).parent
CLIP = "clip-vit-b-32"


def tokens() -> list[tuple[str, list[int]]]:
    """200 texts and their tokens, by open_clip."""
    found = json.loads((HERE / "tokens.json").read_text(encoding="utf-8"))
    return [(text, ids) for text, ids in found]


def expected_vectors() -> NDArray[np.float32]:
    """The vectors of the first texts, by PyTorch."""
    with np.load(HERE / "expected.npz") as recorded:
        return recorded["texts"]


def content_of(name: str) -> bytes:
    """One of the recorded files, as it lies on the hub."""
    path = HERE / name
    return path.read_bytes() if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes())


def put_clip(hub: Hub, monkeypatch) -> Model:
    """Serve the tiny CLIP where the catalogue expects CLIP, with the tiny one's sizes and sums."""
    import hashlib

    names = ("images.onnx", "texts.onnx", "tokenizer.json")
    products = []
    download = MODELS[CLIP].download
    for product, name in zip(download.products, names, strict=True):
        content = content_of(name)
        sources = {}
        for key, file in product.sources.items():
            sources[key] = replace(
                file,
                revision="main",
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
            hub.put(content, file.repository, file.path)
        products.append(replace(product, sources=sources))
    model = replace(MODELS[CLIP], download=replace(download, products=tuple(products)))
    monkeypatch.setitem(MODELS, CLIP, model)
    return model
