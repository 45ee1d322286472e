"""Columns of an embedding that compute themselves, and models that were trained on them."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from Orange.classification import KNNLearner, LogisticRegressionLearner, TreeLearner
from Orange.data import ContinuousVariable, Domain, StringVariable, Table
from Orange.evaluation import CA, CrossValidation
from Orange.preprocess import Normalize
from Orange.projection import PCA
from PIL import Image

from orangecontrib.imageanalytics import computed_columns, kept_embedders, local_embedder
from orangecontrib.imageanalytics.computed_columns import Embedding
from orangecontrib.imageanalytics.embed_images import EmbedImages
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.outcome import ComputedColumnError
from orangecontrib.imageanalytics.server_client.address import TOKEN_VARIABLE
from orangecontrib.imageanalytics.surroundings import Surroundings, surround
from tests import colour_photos
from tests.colour_photos import MODEL, embed, photos, without_pictures
from tests.conftest import PHOTOS, workers
from tests.misbehaving_server import MisbehavingServer

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")


@pytest.fixture(autouse=True)
def a_script(no_new_workers):
    """Have the model, and end all that is kept."""
    colour_photos.add_model()
    yield
    kept_embedders.close_all()


def test_an_embedding_is_as_made_if_it_is_whole_in_order_and_unchanged(train):
    columns = train.domain.attributes
    count = len(columns)
    are_as_made = computed_columns.are_as_made
    assert are_as_made(columns, count) and are_as_made(plain(train).domain.attributes, count)
    twice = embed(train)
    assert are_as_made(twice.domain.attributes[count:], count)
    assert not are_as_made(columns[:-1], count) and not are_as_made(columns[::-1], count)
    assert not are_as_made(Normalize()(train).domain.attributes, count)
    assert not are_as_made([], count)


@pytest.fixture
def raw(tmp_path):
    return photos(tmp_path / "new", 6, seed=1)


@pytest.fixture
def train(tmp_path):
    return embed(photos(tmp_path / "old"))


def plain(table: Table) -> Table:
    """The same table as the public add-on has it: with columns that know nothing."""
    domain = table.domain
    attributes = [ContinuousVariable(variable.name) for variable in domain.attributes]
    return Table.from_numpy(
        Domain(attributes, domain.class_vars, domain.metas), table.X, table.Y, table.metas
    )


def column(index=0, model="m", fingerprint="f", image="image", title="M"):
    how = Embedding(model, fingerprint, image, title=title, dimension=4, opens=ImageEmbedder)
    return ContinuousVariable(f"n{index}", compute_value=how.column(index))


# What is equal


def test_a_column_equals_a_plain_one_of_its_name_in_both_directions():
    computed, other = column(), ContinuousVariable("n0")
    assert computed == other and other == computed
    assert hash(computed) == hash(other)
    assert {computed} == {other}
    assert Domain([computed]) == Domain([other]) and Domain([other]) == Domain([computed])
    assert computed != ContinuousVariable("n1")


@pytest.mark.parametrize(
    "other", [{"model": "x"}, {"fingerprint": "x"}, {"image": "x"}, {"index": 1}]
)
def test_a_column_differs_from_that_of_another_model_column_of_pictures_or_index(other):
    assert column() != column(**other)
    assert column().compute_value != column(**other).compute_value


def test_columns_of_one_model_are_equal_whatever_it_is_called():
    assert column() == column(title="Another title")


# What models do


def test_a_model_predicts_the_same_from_pictures_and_from_their_embedding(train, raw):
    embedded = embed(raw)
    for learner in (LogisticRegressionLearner(), KNNLearner(), TreeLearner()):
        model = learner(train)
        np.testing.assert_array_equal(model(raw), model(embedded))
        np.testing.assert_allclose(
            model(raw, model.Probs), model(embedded, model.Probs), atol=1e-12
        )
    np.testing.assert_array_equal(LogisticRegressionLearner()(train)(raw), raw.Y)


def test_a_model_tells_fruits_from_animals_in_the_folder_that_it_is_given():
    images, _ = ImportImages()(PHOTOS)
    train, new = images[::2], images[1::2]
    with ImageEmbedder() as embedder:
        embedded, _, _ = embedder(train)
    predicted = LogisticRegressionLearner()(embedded)(new)
    np.testing.assert_array_equal(predicted, new.Y)


def test_a_model_of_components_and_normalised_columns_looks_at_pictures_too(train, raw):
    normalised = LogisticRegressionLearner(preprocessors=[Normalize()])(train)
    np.testing.assert_array_equal(normalised(raw), raw.Y)
    components = PCA(n_components=2)(train)(train)
    np.testing.assert_array_equal(LogisticRegressionLearner()(components)(raw), raw.Y)


def test_one_row_is_predicted_as_the_table_is(train, raw):
    model = KNNLearner()(train)
    assert [float(model(row)) for row in raw[:2]] == [0, 1]


def test_an_empty_table_is_no_problem(train, raw):
    assert raw[:0].transform(train.domain).X.shape == (0, 4)


def test_plain_and_computed_tables_go_into_each_others_models_unchanged(train, raw):
    embedded = embed(raw)
    for learned in (train, plain(train)):
        model = LogisticRegressionLearner()(learned)
        for given in (embedded, plain(embedded)):
            # whoever looked at the pictures would fail
            np.testing.assert_array_equal(model(without_pictures(given)), raw.Y)


@pytest.mark.parametrize("suffix", ["tab", "csv", "xlsx", "pkl"])
@pytest.mark.parametrize("by", [plain, lambda table: table], ids=["public", "ours"])
def test_saved_tables_go_into_models_of_either_kind(train, raw, tmp_path, suffix, by):
    for saved in (by(embed(raw)), by(train)):
        saved = without_pictures(saved)
        saved.save(str(tmp_path / f"saved.{suffix}"))
        loaded = Table(str(tmp_path / f"saved.{suffix}"))
        for learned in (train, plain(train)):
            model = KNNLearner()(learned)
            classless = loaded.transform(
                Domain(loaded.domain.attributes, None, loaded.domain.metas)
            )
            np.testing.assert_array_equal(model(classless), saved.Y)


def test_columns_of_another_network_are_computed_anew_with_the_right_one(train, raw):
    colour_photos.add_model("times-minus-nine", factor=-9)
    other = embed(raw, "times-minus-nine")
    assert [v.name for v in other.domain.attributes] == [v.name for v in train.domain.attributes]
    np.testing.assert_array_equal(KNNLearner()(train)(other), raw.Y)
    with pytest.raises(ComputedColumnError, match="cannot be embedded"):
        KNNLearner()(train)(without_pictures(other))


def test_a_second_embedding_of_a_table_is_computed_too(train, raw):
    colour_photos.add_model("second", factor=2)
    twice = embed(train, "second")
    both = raw.transform(twice.domain)
    np.testing.assert_allclose(both.X[:, 4:], 2 * both.X[:, :4], rtol=1e-6)


# Pickles


def test_a_pickled_model_predicts_in_a_process_that_has_imported_nothing_of_ours(
    train, raw, tmp_path
):
    model = LogisticRegressionLearner()(train)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    (tmp_path / "raw.pkl").write_bytes(pickle.dumps(raw))
    program = (
        "import pickle, sys\n"
        "from pathlib import Path\n"
        "model, raw = [pickle.loads(Path(p).read_bytes()) for p in sys.argv[1:]]\n"
        "print(*map(int, model(raw)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, "model.pkl", "raw.pkl"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
        env=None,
    ).stdout
    assert answer.split() == ["0", "1", "0", "1", "0", "1"]


def test_a_pickle_holds_names_and_neither_paths_nor_tokens(train, tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "secret-token")
    domain = pickle.dumps(Domain(train.domain.attributes))
    assert MODEL.encode() in domain and b"image" in domain
    for secret in (str(tmp_path), str(Path.home()), "secret-token", "onnx"):
        assert secret.encode() not in domain
    assert len(domain) < 4000


def test_an_unpickled_column_is_what_it_was():
    before = column(3)
    after = pickle.loads(pickle.dumps([before, column(2)]))
    assert after == [before, column(2)]
    assert after[0].compute_value.index == 3


# What cannot be right is an error


def refusal(model, data) -> str:
    with pytest.raises(ComputedColumnError) as error:
        model(data)
    assert isinstance(error.value, ValueError)  # which Predictions shows
    return str(error.value)


def test_pictures_that_cannot_be_embedded_are_named(train, raw, tmp_path):
    (tmp_path / "new" / "1-2.png").write_bytes(b"no picture")
    with raw.unlocked(raw.metas):
        raw.metas[0, 0], raw.metas[1, 0] = "nowhere.png", ""
    message = refusal(KNNLearner()(train), raw)
    assert message.startswith(
        "3 of 6 pictures cannot be embedded: nowhere.png (not found), "
        "a missing value (no image given), 1-2.png (not an image). Put Image Embedding (colours) "
        "before this"
    )
    assert "Skipped Images" in message


def test_of_many_such_pictures_some_are_named(train, tmp_path):
    gone = without_pictures(photos(tmp_path / "many", 30))
    message = refusal(KNNLearner()(train), gone)
    assert "30 of 30" in message and "gone-4.png (not found), ...." in message
    assert "gone-5.png" not in message


def test_a_table_without_the_column_of_pictures_is_refused(train, tmp_path):
    other = photos(tmp_path / "other", 4, name="photo")
    message = refusal(KNNLearner()(train), other)
    assert "no column 'image'" in message and "'photo'" in message and "Edit Domain" in message


def test_a_model_that_is_not_on_this_computer_is_said_to_be_missing(train, raw):
    model = KNNLearner()(train)
    path = colour_photos.add_model()
    path.unlink()
    message = refusal(model, raw)
    assert "colours.onnx" in message and str(path.parent) in message


def test_a_model_that_was_changed_is_not_used(train, raw):
    colour_photos.add_model(factor=3)
    assert "Train the model again" in refusal(KNNLearner()(train), raw)


def test_a_model_of_a_server_sends_nothing_without_consent(raw):
    with MisbehavingServer() as server:
        with ImageEmbedder("deeploc", server.url) as embedder:
            how = embedder.embedding("image")
        surround(Surroundings())  # as in another process, that has loaded a model
        with pytest.raises(ComputedColumnError, match="nobody has agreed"):
            how(raw)
        assert server.requests == []
        EmbedImages("deeploc", server_url=server.url)
        assert how(raw).shape == (6, 512)
        assert len(server.requests) == 6


def test_without_a_server_s_address_a_model_of_a_server_sends_nothing(raw):
    with MisbehavingServer() as server:
        with ImageEmbedder("deeploc", server.url) as embedder:
            how = replace(embedder.embedding("image"), server=None)
        surround(chosen := Surroundings())
        with pytest.raises(ComputedColumnError, match="not said on which"):
            how(raw)
        assert chosen._chosen == {}


# One set of workers, and each picture once


def test_workers_are_kept_between_calls(train, raw, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        local_embedder, "Engine", lambda *a, **k: made.append(Engine(*a, **k)) or made[-1]
    )
    model = KNNLearner()(train)
    model(raw)
    model(photos(tmp_path / "more", 4, seed=5))
    assert len(made) == 1


def test_workers_that_were_kept_end_by_themselves(train, raw, monkeypatch):
    before = workers()
    monkeypatch.setattr(kept_embedders, "KEPT", 0.1)
    monkeypatch.setattr(kept_embedders, "_sweeping", threading.Event())  # not another test's
    KNNLearner()(train)(raw)
    deadline = time.monotonic() + 20
    while workers() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers() <= before


Engine = local_embedder.Engine


def test_embed_images_cross_validates_raw_tables_and_embeds_each_picture_once(
    tmp_path, monkeypatch
):
    submitted = []
    submit = local_embedder.LocalEmbedder.submit

    def counted(self, task):
        submitted.append(task)
        return submit(self, task)

    monkeypatch.setattr(local_embedder.LocalEmbedder, "submit", counted)
    table = photos(tmp_path / "all", 20)
    learner = LogisticRegressionLearner(preprocessors=[EmbedImages(MODEL), Normalize()])
    results = CrossValidation(k=4)(table, [learner])
    assert CA(results)[0] == 1
    assert len(submitted) == 20


def test_embed_images_keeps_columns_and_takes_a_column_of_another_name(tmp_path):
    table = photos(tmp_path / "x", 3, name="photo").add_column(
        ContinuousVariable("n0"), [1.0, 2.0, 3.0]
    )
    preprocessor = pickle.loads(pickle.dumps(EmbedImages(MODEL, col="photo")))
    embedded = preprocessor(table)
    assert [v.name for v in embedded.domain.attributes] == [
        *["n0", "n0 (1)", "n1 (1)", "n2 (1)", "n3 (1)"]
    ]
    assert list(embedded.X[:, 0]) == [1, 2, 3]
    assert repr(preprocessor) == "EmbedImages(model='colours', col='photo')"


def test_tables_that_are_put_together_lack_what_they_lack(train, monkeypatch):
    monkeypatch.setattr(computed_columns, "_JOINING", {__name__})
    words = Table.from_list(Domain([], None, [StringVariable("word")]), [["a"], ["b"]])
    assert np.isnan(words.transform(train.domain).X).all()


def test_columns_made_with_a_depth_compute_themselves_with_it(tmp_path):
    paths = []
    for number, top in enumerate((300, 900, 4095)):
        ramp = np.linspace(0, top, 64 * 64).reshape(64, 64).astype(np.uint16)
        Image.fromarray(ramp).save(tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
    metas = np.array(paths, dtype=object).reshape(-1, 1)
    raw = Table.from_numpy(
        Domain([], metas=[StringVariable("image")]), np.empty((3, 0)), None, metas
    )
    found = {}
    for depth in (None, 12):
        with ImageEmbedder(MODEL, depth=depth) as embedder:
            embedded, _, _ = embedder(raw)
        again = raw.transform(pickle.loads(pickle.dumps(embedded.domain)))
        assert np.array_equal(again.X, embedded.X)
        found[depth] = embedded.X
    assert not np.allclose(found[None], found[12])
