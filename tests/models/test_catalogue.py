"""The catalogue: what it says of models to download holds together, and stands in the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orangecontrib.imageanalytics.models import Kind
from orangecontrib.imageanalytics.models.catalogue import MODELS, TEXT_NETWORK, TOKENIZER
from orangecontrib.imageanalytics.models.hub_address import address_of

PAGE = (Path(__file__).parents[2] / "doc" / "models.md").read_text(encoding="utf-8")

TO_DOWNLOAD = [model for model in MODELS.values() if model.kind is Kind.DOWNLOADABLE]

to_download = pytest.mark.parametrize("model", TO_DOWNLOAD, ids=lambda model: model.id)

#: Those of whose files the SHA-256 could not be seen; the page of the models says so.
WITHOUT_SHA256 = {"mobilenetv4-medium"}


@to_download
class TestModelsToDownload:
    def test_its_network_takes_and_gives_what_is_said(self, model):
        recipe = model.download.products[0].recipe
        assert recipe.pixels.size == model.input_size
        assert recipe.dimension == model.dimension

    def test_its_files_are_named_so_that_no_other_can_arrive(self, model):
        for product in model.download.products:
            for source in product.sources.values():
                assert re.fullmatch(r"[\w-]+/[\w.-]+", source.repository)
                assert source.size > 1_000_000
                known = re.fullmatch(r"[0-9a-f]{64}", source.sha256 or "") is not None
                assert known is (model.id not in WITHOUT_SHA256)
                assert known or re.fullmatch(r"[0-9a-f]{40}", source.revision)

    def test_its_first_file_is_the_network_for_images(self, model):
        endings = [product.ending for product in model.download.products]
        assert endings[0] == ".onnx" and len(set(endings)) == len(endings)
        assert set(endings[1:]) in (set(), {TEXT_NETWORK, TOKENIZER})

    def test_people_are_told_what_it_is(self, model):
        assert model.milliseconds > 0 and model.citation and model.licence
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{model.id}` |"))
        assert f"| {model.dimension} |" in row and model.licence in row
        assert f"{model.download.size / 1e6:.0f}" in row
        assert all(
            source.repository in PAGE
            for product in model.download.products
            for source in product.sources.values()
        )


def test_the_page_lists_every_model():
    assert [id_ for id_ in MODELS if f"| `{id_}` |" not in PAGE] == []


def test_the_address_for_a_browser_is_the_hubs(monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT")
    source = MODELS["vgg16-local"].download.products[0].sources["main"]
    assert address_of(source) == (
        "https://huggingface.co/timm/vgg16.tv_in1k/resolve/"
        "3394518cba29aee1ea82a49d971be90d2dd1dab7/model.safetensors"
    )
