"""ImageEmbedder: what a script gets."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from Orange.data import DiscreteVariable, Domain, StringVariable, Table
from PIL import Image

from orangecontrib.imageanalytics.image_embedder import (
    MODELS,
    Embedded,
    ImageEmbedder,
    Reason,
    Skipped,
)
from orangecontrib.imageanalytics.models import catalogue
from orangecontrib.imageanalytics.outcome import ColumnError, InputTypeError, ModelFileError
from tests import awkward
from tests.web_server import WebServer, answer, hang


class Stop(Exception):
    """Raised by a callback."""


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    with ImageEmbedder(cache=tmp_path_factory.mktemp("module")) as opened:
        yield opened


def image_table(paths, **attributes) -> Table:
    image = StringVariable("image")
    image.attributes.update(type="image", **attributes)
    metas = np.array([[str(path)] for path in paths], dtype=object).reshape(-1, 1)
    return Table.from_numpy(Domain([], metas=[image]), np.empty((len(metas), 0)), metas=metas)


def count_tasks(embedder: ImageEmbedder) -> list:
    """Have the tasks noted that reach the embedder."""
    inner = embedder._embedder()
    tasks = []
    submit = inner.submit
    inner.submit = lambda task: (tasks.append(task), submit(task))[1]
    return tasks


def test_a_list_gives_a_float32_vector_per_image(embedder, photos):
    vectors = embedder(photos)
    assert [(vector.shape, vector.dtype) for vector in vectors] == [((1000,), np.float32)] * 13
    assert len({vector.tobytes() for vector in vectors}) == 13


def test_a_skipped_image_is_none_in_its_place(embedder, photos):
    vectors = embedder([photos[0], "no such file.png", None, photos[1]])
    assert [vector is None for vector in vectors] == [False, True, True, False]


def test_all_kinds_of_references_to_one_image_give_one_vector(embedder, photos):
    path = photos[-1]
    picture = Image.open(path)
    array = np.asarray(picture.convert("RGBA"))
    same = embedder(
        [path, str(path), path.read_bytes(), path.as_uri(), np.str_(path), picture, array]
    )
    for vector in same[1:]:
        np.testing.assert_allclose(vector, same[0], rtol=1e-5, atol=1e-3)


def test_arrays_of_paths_and_batches_of_pixels_are_collections(embedder, photos):
    assert len(embedder(np.array([str(photo) for photo in photos[:2]]))) == 2
    assert len(embedder(np.zeros((3, 20, 30, 3), np.uint8))) == 3
    assert embedder([]) == []
    assert embedder((photos[0],))[0] is not None


@pytest.mark.parametrize(
    "wrong",
    ["photo.png", b"bytes", Path("photo.png"), 5, None, np.zeros((4, 4, 3), np.uint8), {1: 2}],
    ids=lambda value: type(value).__name__,
)
def test_a_single_image_or_another_type_gets_an_error_that_says_what_is_accepted(embedder, wrong):
    with pytest.raises(InputTypeError, match="list"):
        embedder(wrong)


def test_an_image_of_an_unknown_type_gets_an_error_that_says_what_is_accepted(embedder):
    with pytest.raises(TypeError, match="path"):
        embedder([42])


def test_an_unknown_model_gets_an_error_that_lists_the_models():
    with pytest.raises(ValueError, match=r"squeezenet.*inception-v3"):
        ImageEmbedder("squeezenet2")


def test_outcomes_stream_in_order_and_say_why(embedder, photos, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("not an image")
    images = [photos[0], text, tmp_path, tmp_path / "none.png", None, photos[1]]
    outcomes = list(embedder.outcomes(image for image in images))
    assert [getattr(outcome, "reason", None) for outcome in outcomes] == [
        None,
        Reason.NOT_AN_IMAGE,
        Reason.NOT_A_FILE,
        Reason.NOT_FOUND,
        Reason.NO_IMAGE,
        None,
    ]
    assert "none.png" in outcomes[3].detail


def test_progress_rises_counts_every_image_and_ends_at_one(embedder, photos):
    shares = []
    embedder([*photos, "missing.png", None], callback=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert set(np.arange(1, 16) / 15) <= set(shares)


def test_what_the_callback_raises_comes_out_and_leaves_nothing_running(photos, no_new_workers):
    error = Stop("of the user's")

    def stop(share: float) -> None:
        if share > 0.2:
            raise error

    embedder = ImageEmbedder()
    with pytest.raises(Stop) as raised:
        embedder(photos, callback=stop)
    assert raised.value is error
    tasks = count_tasks(embedder)
    assert all(vector is not None for vector in embedder(photos))
    assert len(tasks) < len(photos)  # what was computed before the stop is not computed again
    embedder.close()


def test_leaving_the_outcomes_early_leaves_nothing_running(photos, no_new_workers):
    embedder = ImageEmbedder()
    for outcome in embedder.outcomes(photos):
        assert isinstance(outcome, Embedded)
        break


def test_a_second_run_computes_nothing_and_reads_no_file(photos, monkeypatch):
    with ImageEmbedder() as embedder:
        first = embedder(photos)
        tasks = count_tasks(embedder)
        monkeypatch.setattr("builtins.open", None)
        monkeypatch.setattr("os.open", None)
        second = embedder(photos)
        monkeypatch.undo()
    assert not tasks
    np.testing.assert_array_equal(first, second)


def test_the_same_image_is_computed_once_whatever_its_name(photos, tmp_path):
    other = shutil.copy(photos[0], tmp_path / "other name.png")
    with ImageEmbedder(cache=False) as embedder:
        tasks = count_tasks(embedder)
        vectors = embedder([photos[0], photos[0], other, photos[0].read_bytes(), photos[1]])
    assert len(tasks) == 2
    for vector in vectors[1:4]:
        np.testing.assert_array_equal(vector, vectors[0])


def test_a_file_changed_in_place_is_embedded_anew(photos, tmp_path):
    path = tmp_path / "photo.png"
    with ImageEmbedder() as embedder:
        vectors = []
        for photo in (photos[0], photos[1]):
            path.write_bytes(photo.read_bytes())
            vectors.extend(embedder([path]))
        expected = embedder(photos[:2])
    np.testing.assert_array_equal(vectors, expected)


def test_clear_cache_forgets_this_models_vectors(photos):
    with ImageEmbedder() as embedder:
        embedder(photos[:3])
        embedder.clear_cache()
        tasks = count_tasks(embedder)
        embedder(photos[:3])
    assert len(tasks) == 3


def test_a_table_comes_apart_into_embedded_and_skipped_rows(embedder, photos):
    names = [photos[0].name, "missing.png", photos[1].name]
    table = image_table(names, origin=str(photos[0].parent))
    embedded, skipped, n_skipped = embedder(table, col="image")
    assert n_skipped == 1
    assert embedded.X.shape == (2, 1000)
    assert list(embedded.ids) == [table.ids[0], table.ids[2]]
    assert list(skipped.ids) == [table.ids[1]]
    assert "not found" in str(skipped[0]["skip reason"])
    np.testing.assert_allclose(embedded.X, embedder(photos[:2]))


def test_col_defaults_to_image_and_may_be_a_variable(embedder, photos):
    table = image_table(photos[:1])
    for arguments in ([table], [table, "image"], [table, table.domain["image"]]):
        assert embedder(*arguments)[0].X.shape == (1, 1000)
    assert embedder.from_table(table)[0].X.shape == (1, 1000)


def test_a_categorical_column_of_images(embedder, photos):
    image = DiscreteVariable("photo", [str(photo) for photo in photos[:2]])
    table = Table.from_numpy(
        Domain([], metas=[image]), np.empty((3, 0)), metas=np.array([[1], [np.nan], [0]])
    )
    embedded, skipped, _ = embedder(table, "photo")
    assert len(embedded) == 2
    assert "no image given" in str(skipped[0]["skip reason"])


def test_a_missing_column_gets_an_error_that_lists_the_candidates(embedder, photos):
    with pytest.raises(ColumnError, match="'image'"):
        embedder(image_table(photos), col="picture")


def test_an_empty_table_and_one_of_which_all_is_skipped(embedder):
    shares = []
    assert embedder(image_table([]), callback=shares.append) == (None, None, 0)
    assert shares == [1.0]
    embedded, skipped, n_skipped = embedder(image_table(["a.png", "b.png"]))
    assert embedded is None
    assert (len(skipped), n_skipped) == (2, 2)


def test_an_embedded_table_can_be_embedded_again(embedder, photos):
    once, _, _ = embedder(image_table(photos[:2]))
    twice, _, _ = embedder(once)
    assert twice.X.shape == (2, 2000)
    assert len({attribute.name for attribute in twice.domain.attributes}) == 2000


def test_names_that_older_scripts_import(embedder, photos):
    assert MODELS["inception-v3"]["target_image_size"] == (299, 299)
    table = image_table(["a", "b"])
    embedded, skipped, n_skipped = ImageEmbedder.prepare_output_data(table, [[1.0, 2.0], None])
    assert (len(embedded), len(skipped), n_skipped) == (1, 1, 1)
    assert embedder.is_local_embedder()
    assert not ImageEmbedder("painters").is_local_embedder()


def test_it_works_inside_a_running_event_loop(photos):
    import asyncio

    async def cell() -> list:
        with ImageEmbedder() as embedder:
            return embedder(photos[:2])

    assert len(asyncio.run(cell())) == 2


def test_a_script_imports_neither_orange_nor_qt_nor_httpx(photos):
    script = (
        "import sys\n"
        "from orangecontrib.imageanalytics.image_embedder import ImageEmbedder\n"
        f"with ImageEmbedder() as embedder: assert embedder([{str(photos[0])!r}])[0] is not None\n"
        "heavy = {'Orange', 'AnyQt', 'PyQt6', 'httpx', 'onnxruntime', 'asyncio', 'PIL'}\n"
        "print(heavy & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert done.stderr == ""


def test_pixels_of_the_wrong_kind_and_damaged_bytes_are_told_apart(embedder):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(stream, "PNG")
    outcomes = list(embedder.outcomes([stream.getvalue()[:100], b"", stream.getvalue()]))
    assert [isinstance(outcome, Skipped) for outcome in outcomes] == [True, True, False]


def test_many_images_of_one_size_in_bytes_each_get_their_own_vector(tmp_path):
    paths = []
    for value in range(0, 250, 10):
        path = tmp_path / f"{value}.bmp"
        Image.new("RGB", (20, 20), (value, 255 - value, 30)).save(path)
        paths.append(path)
    with ImageEmbedder(cache=False) as embedder:
        vectors = embedder(paths)
        alone = [embedder([path.read_bytes()])[0] for path in paths]
    np.testing.assert_array_equal(vectors, alone)


def test_web_images_are_not_downloaded_again(photos):
    body = photos[0].read_bytes()
    with WebServer() as server:
        url = server.on("/photo.png", answer(body, {"ETag": '"1"', "Cache-Control": "max-age=60"}))
        gone = server.url("/gone.png")
        with ImageEmbedder() as embedder:
            first = list(embedder.outcomes([url, photos[1], gone, url]))
            second = list(embedder.outcomes([url]))
            expected = embedder([photos[0]])[0]
        assert server.targets().count("/photo.png") == 1
    assert first[2].reason is Reason.NOT_DOWNLOADED
    for outcome in (first[0], first[3], second[0]):
        np.testing.assert_array_equal(outcome.vector, expected)


def test_stopping_while_every_download_hangs(no_new_workers):
    def stop(share: float) -> None:
        if time.monotonic() - begun > 0.3:
            raise Stop

    with WebServer() as server:
        urls = [server.on(f"/{n}.png", hang) for n in range(30)]
        begun = time.monotonic()
        with pytest.raises(Stop):
            ImageEmbedder()(urls, callback=stop)
        assert time.monotonic() - begun < 5


def test_a_model_of_the_users_own(photos, tmp_path):
    shutil.copy(catalogue.WEIGHTS / "squeezenet.onnx", tmp_path / "my-model.onnx")
    with ImageEmbedder("my-model", models_folder=tmp_path) as own, ImageEmbedder() as bundled:
        np.testing.assert_array_equal(own(photos[:1]), bundled(photos[:1]))
    (tmp_path / "broken.onnx").write_text("no model")
    with pytest.raises(ModelFileError, match=r"broken\.onnx"):
        ImageEmbedder("broken", models_folder=tmp_path)


def test_on_another_executor(photos):
    with ThreadPoolExecutor(2) as executor, ImageEmbedder(cache=False) as here:
        there = ImageEmbedder(cache=False, executor=executor, workers=2)
        np.testing.assert_array_equal(there(photos[:4]), here(photos[:4]))
        there.close()


def test_the_vectors_of_one_image_are_the_callers_own(photos):
    images = [photos[0], photos[0], photos[0].read_bytes()]
    with ImageEmbedder(cache=False) as embedder:
        expected = embedder([photos[0]])[0]
        for outcome in embedder.outcomes(images):
            np.testing.assert_array_equal(outcome.vector, expected)
            outcome.vector[:] = -1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_an_embedder_goes_on_in_a_forked_process(photos):
    with ImageEmbedder(cache=False) as embedder:
        embedder(photos[:1])
        fork = get_context("fork")
        answers = fork.SimpleQueue()
        child = fork.Process(target=lambda: answers.put(embedder(photos[:2])))
        child.start()
        child.join(timeout=200)
        assert child.exitcode == 0
        assert all(vector is not None for vector in answers.get())


def test_a_folder_of_everything_that_can_go_wrong_runs_in_one_call(tmp_path):
    cases = awkward.write_corpus(tmp_path)
    assert len(cases) > 200
    with ImageEmbedder(cache=False) as embedder:
        outcomes = list(embedder.outcomes([case.path for case in cases]))
    wrong = [
        (case.path, outcome, case.expected)
        for case, outcome in zip(cases, outcomes, strict=True)
        if getattr(outcome, "reason", None) != case.expected
    ]
    assert not wrong


def test_a_depth_is_filed_apart_and_a_wrong_one_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.linspace(0, 800, 4096).reshape(64, 64).astype(np.uint16)).save(path)
    found = []
    for depth in (None, 12, 10, None):
        with ImageEmbedder("squeezenet", cache=tmp_path / "cache", depth=depth) as embedder:
            found += embedder([path])
    assert np.array_equal(found[0], found[3]) and np.array_equal(found[0], found[2])  # 10 bits
    assert not np.allclose(found[0], found[1])
    for wrong in (8, 11, 32, "12"):
        with pytest.raises(ValueError, match="10, 12, 14, 16"):
            ImageEmbedder("squeezenet", depth=wrong)


def test_a_depth_holds_for_pictures_in_memory_as_for_files(tmp_path):
    picture = Image.fromarray(np.linspace(0, 800, 4096).reshape(64, 64).astype(np.uint16))
    picture.save(tmp_path / "deep.png")
    with ImageEmbedder("squeezenet", cache=False, depth=16, workers=1) as embedder:
        of_file, of_picture = embedder([tmp_path / "deep.png", picture])
    assert np.array_equal(of_file, of_picture)
