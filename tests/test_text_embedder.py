"""Words to vectors: tokens as open_clip's, vectors as PyTorch's, through a download from a hub."""

import shutil

import numpy as np
import pytest

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.model_file.text_model import LONGEST, Tokens
from orangecontrib.imageanalytics.models.downloaded import downloaded_files
from orangecontrib.imageanalytics.models.downloading import download
from orangecontrib.imageanalytics.outcome import (
    InputTypeError,
    MissingModelError,
    ModelFileError,
    UnknownModelError,
    WorkerError,
)
from orangecontrib.imageanalytics.text_embedder import TextEmbedder, knows_words
from tests.clip import CLIP, HERE, expected_vectors, put_clip, tokens
from tests.conftest import workers
from tests.hub import Hub


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """The folder of the user's models with a tiny CLIP, downloaded from a hub on loopback."""
    folder = tmp_path_factory.mktemp("clip models")
    with pytest.MonkeyPatch.context() as patch, Hub() as hub:
        patch.setenv("HF_ENDPOINT", hub.url())
        download(put_clip(hub, patch), folder)
    return folder


@pytest.fixture
def folder(downloaded, tmp_path):
    copy = tmp_path / "models"
    shutil.copytree(downloaded, copy)
    return copy


def test_there_are_200_texts_of_many_languages_with_emoji_and_overlong_ones():
    texts = [text for text, _ in tokens()]
    assert len(set(texts)) == 200
    assert sum(any(ord(c) > 0x2000 for c in text) for text in texts) > 20
    assert sum(len(ids) == LONGEST for _, ids in tokens()) >= 5


@pytest.mark.parametrize(("text", "ids"), tokens())
def test_tokens_are_those_of_open_clip(text, ids):
    assert Tokens(HERE / "tokenizer.json")(text) == ids


def test_vectors_are_those_of_pytorch(downloaded):
    texts = [text for text, _ in tokens()[:12]]
    with TextEmbedder(models_folder=downloaded) as embedder:
        vectors = embedder(texts)
    assert vectors.shape == (12, 512) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected_vectors(), rtol=1e-4, atol=1e-4)


def test_a_text_has_the_same_vector_alone_and_among_others_of_any_length(downloaded):
    texts = ["lemon", "lemon " * 100, "", "a photo of a red bicycle"]
    with TextEmbedder(models_folder=downloaded) as embedder:
        together = embedder(texts)
    for text, vector in zip(texts, together, strict=True):
        with TextEmbedder(models_folder=downloaded) as embedder:
            np.testing.assert_allclose(embedder([text])[0], vector, atol=1e-5)


def test_pictures_and_words_are_in_one_space_and_from_one_download(downloaded, photos):
    with ImageEmbedder(CLIP, models_folder=downloaded) as pictures:
        vectors = pictures(photos[:3])
    with TextEmbedder(CLIP, models_folder=downloaded) as words:
        assert words(["a lemon"]).shape[1] == len(vectors[0]) == 512
    assert np.linalg.matrix_rank(np.array(vectors)) == 3


def test_a_text_is_computed_once(downloaded, monkeypatch):
    with TextEmbedder(models_folder=downloaded) as embedder:
        first = embedder(["lemon", "cow", "lemon"])
        monkeypatch.setattr(embedder, "_computed", lambda *_: pytest.fail("computed again"))
        again = embedder(["cow", "lemon"])
    assert (first[[1, 0]] == again).all() and (first[0] == first[2]).all()


def test_no_texts_give_no_vectors(downloaded):
    assert TextEmbedder(models_folder=downloaded)([]).shape == (0, 512)


def test_what_the_callback_raises_comes_out_and_the_process_is_kept(downloaded):
    class Stop(Exception):
        pass

    def stop():
        raise Stop

    before = workers()
    embedder = TextEmbedder(models_folder=downloaded)
    with pytest.raises(Stop):
        embedder(["lemon"], callback=stop)
    (process,) = workers() - before
    assert embedder(["lemon"]).shape == (1, 512)
    assert workers() - before == {process}
    embedder.close()
    assert workers() <= before


def test_a_process_that_is_killed_is_an_error_and_the_next_call_starts_another(downloaded):
    before = workers()
    with TextEmbedder(models_folder=downloaded) as embedder:
        embedder(["lemon"])
        for worker in workers() - before:
            worker.kill()
            worker.wait()
        with pytest.raises(WorkerError, match="has ended"):
            for text in ("cow", "zebra", "fox"):  # it is noticed by the second at the latest
                embedder([text])
        assert embedder(["lion"]).shape == (1, 512)


def test_before_the_download_it_says_how_to_get_it(tmp_path):
    with pytest.raises(MissingModelError, match="models get clip-vit-b-32"):
        TextEmbedder(models_folder=tmp_path)


def test_it_is_downloaded_on_demand(tmp_path, monkeypatch):
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url())
        put_clip(hub, monkeypatch)
        with TextEmbedder(models_folder=tmp_path, download=True) as embedder:
            assert embedder(["lemon"]).shape == (1, 512)


def test_a_model_without_words_is_refused(tmp_path):
    with pytest.raises(UnknownModelError, match=r"SqueezeNet knows no words.*clip-vit-b-32"):
        TextEmbedder("squeezenet")
    assert [m.id for m in models.of_catalogue(tmp_path).values() if knows_words(m)] == [CLIP]


@pytest.mark.parametrize("texts", ["a lemon", ["a lemon", None], [b"a lemon"]])
def test_what_is_no_list_of_texts_is_refused(downloaded, texts):
    with pytest.raises(InputTypeError):
        TextEmbedder(models_folder=downloaded)(texts)


@pytest.mark.parametrize("index", [1, 2])
@pytest.mark.parametrize("content", [b"", b"{}", b"no such thing"])
def test_damaged_files_say_so(folder, index, content):
    model = models.get(CLIP, folder)
    downloaded_files(model, folder)[index].write_bytes(content)
    with (
        TextEmbedder(models_folder=folder) as embedder,
        pytest.raises(ModelFileError, match=r"loaded|once more|tokeniser"),
    ):
        embedder(["lemon"])
