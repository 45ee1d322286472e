"""The widget Find Images by Words: a tiny CLIP from a hub on loopback, photos, real workers."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from AnyQt.QtCore import QSettings
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table
from Orange.preprocess import Normalize
from Orange.widgets.tests.base import WidgetTest

from orangecontrib.imageanalytics.models.downloading import download
from orangecontrib.imageanalytics.similarity import Pictures
from orangecontrib.imageanalytics.text_embedder import TextEmbedder
from orangecontrib.imageanalytics.widgets.owfindimages import OWFindImages
from orangecontrib.imageanalytics.widgets.words_run import (
    Match,
    Question,
    answered,
    distinct,
    queries_of,
)
from tests.clip import CLIP, put_clip
from tests.hub import Hub
from tests.widget_case import image_table, photo_paths, until


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip models")
    with pytest.MonkeyPatch.context() as patch, Hub() as hub:
        patch.setenv("HF_ENDPOINT", hub.url())
        download(put_clip(hub, patch), folder)
    return folder


def texts(*values: str, name: str = "words") -> Table:
    metas = np.array(values, object).reshape(-1, 1)
    domain = Domain([], metas=[StringVariable(name)])
    return Table.from_numpy(domain, np.empty((len(values), 0)), metas=metas)


def embedded(paths: list[str]) -> Table:
    """A table with columns of CLIP, as a file holds them."""
    columns = []
    for index in range(512):
        column = ContinuousVariable(f"n{index}")
        column.attributes["embedder"] = f"{CLIP}: CLIP"
        columns.append(column)
    table = image_table(paths)
    vectors = np.random.default_rng(0).normal(3, size=(len(paths), 512))
    domain = Domain(columns, metas=table.domain.metas)
    return Table.from_numpy(domain, vectors, metas=table.metas)


class TestFindImages(WidgetTest):
    test_minimum_size = test_image_export = test_msg_base_class = None

    @pytest.fixture(autouse=True)
    def own_user(self, tmp_path, no_new_workers, downloaded, monkeypatch) -> None:
        QSettings.setPath(
            QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings")
        )
        self.models = tmp_path / "own models"
        shutil.copytree(downloaded, self.models)
        monkeypatch.setenv("ORANGE_IMAGE_MODELS", str(self.models))
        self.monkeypatch = monkeypatch

    def make(self, **settings: Any) -> OWFindImages:
        return self.create_widget(OWFindImages, stored_settings=settings or None)

    def give(self, widget: OWFindImages, data: Table | None) -> None:
        self.send_signal(widget.Inputs.data, data, widget=widget)
        self.finish(widget)

    def finish(self, widget: OWFindImages) -> None:
        until(lambda: not widget.is_running and not widget._waiting.isActive())

    def type(self, widget: OWFindImages, words: str) -> None:
        widget.panel.words.setPlainText(words)
        self.finish(widget)

    def output(self, widget: OWFindImages, name: str) -> Table | None:
        return self.signal_manager.outputs.get((widget, name))

    def cosines(self, queries: list[str], template: str = "a photo of a {}") -> np.ndarray:
        from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

        with ImageEmbedder(CLIP) as images, TextEmbedder(CLIP) as words:
            vectors = np.array(images(photo_paths()))
            return Pictures(vectors).similarities(words([template.format(q) for q in queries]))

    def test_typed_words_sort_the_images_and_the_best_are_sent(self):
        widget = self.make(top=4)
        self.give(widget, image_table(photo_paths()))
        assert widget.told == "Type what you look for."
        self.type(widget, "lemon")
        cosines = self.cosines(["lemon"])[:, 0]
        assert widget.view.images.order.tolist() == np.argsort(-cosines, kind="stable").tolist()
        matching, data = self.output(widget, "Matching Images"), self.output(widget, "Data")
        assert len(matching) == 4 and len(data) == 13
        assert [v.name for v in data.domain.metas] == ["image", "lemon"]
        np.testing.assert_allclose(data.get_column("lemon"), cosines, atol=1e-5)
        np.testing.assert_allclose(
            matching.get_column("lemon"), np.sort(cosines)[::-1][:4], atol=1e-5
        )

    def test_several_queries_give_probabilities_and_a_label(self):
        widget = self.make(typed="lemon\n cow \n\nlemon")
        self.give(widget, image_table(photo_paths()))
        data = self.output(widget, "Data")
        names = ["image", "lemon", "cow", "lemon (probability)", "cow (probability)", "best label"]
        assert [v.name for v in data.domain.metas] == names
        label = data.domain["best label"]
        assert isinstance(label, DiscreteVariable) and label.values == ("lemon", "cow")
        cosines = self.cosines(["lemon", "cow"])
        assert data.get_column(label).tolist() == cosines.argmax(axis=1).tolist()
        total = data.get_column(names[3]) + data.get_column(names[4])
        np.testing.assert_allclose(total, 1, atol=1e-5)

    def test_typing_asks_once_after_a_pause_and_the_process_is_kept(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()))
        asked = []
        start = widget.start
        self.monkeypatch.setattr(
            widget, "start", lambda *given: (asked.append(given[2].queries), start(*given))
        )
        for length in range(1, 8):
            widget.panel.words.setPlainText("bicycle"[:length])
        self.finish(widget)
        assert asked == [("bicycle",)]
        embedder = widget.embed_words._embedder
        self.type(widget, "cow")
        assert widget.embed_words._embedder is embedder

    def test_the_threshold_the_wording_and_the_query_to_sort_by(self):
        widget = self.make(typed="lemon\ncow", template="{}", match=str(Match.THRESHOLD))
        self.give(widget, image_table(photo_paths()))
        cosines = self.cosines(["lemon", "cow"], "{}")
        middle = float(np.sort(cosines.max(axis=1))[-5]) - 1e-3
        widget.panel.threshold.setValue(middle)
        self.finish(widget)
        expected = (cosines >= widget.threshold).any(axis=1)
        assert widget.answer.matching.tolist() == expected.tolist() and 0 < expected.sum() < 13
        menu = widget.panel.sort_by
        menu.setCurrentIndex(2)
        menu.activated.emit(2)
        self.finish(widget)
        order = np.argsort(-cosines[:, 1], kind="stable")
        assert widget.view.images.order.tolist() == order.tolist()
        widget.panel.template.setEditText("no place")
        self.finish(widget)
        assert widget.Warning.no_place.is_shown()

    def test_queries_from_another_widget_take_the_place_of_typed_ones(self):
        widget = self.make(typed="lemon")
        self.give(widget, image_table(photo_paths()))
        self.send_signal(widget.Inputs.queries, texts("zebra", "fox"), widget=widget)
        self.finish(widget)
        assert widget.answer.question.queries == ("zebra", "fox")
        assert widget.panel.words.isReadOnly()
        self.send_signal(widget.Inputs.queries, None, widget=widget)
        self.finish(widget)
        assert widget.answer.question.queries == ("lemon",)
        assert not widget.panel.words.isReadOnly() and widget.typed == "lemon"
        self.send_signal(widget.Inputs.queries, Table("housing"), widget=widget)
        self.finish(widget)
        assert widget.Error.no_texts.is_shown()

    def test_columns_of_the_same_model_are_taken_and_no_image_is_decoded(self):
        data = embedded([f"/no such folder/{i}.png" for i in range(13)])
        vectors = data.X
        widget = self.make(typed="lemon")
        self.give(widget, data)
        assert not widget.seen.skipped and len(self.output(widget, "Data")) == 13
        with TextEmbedder(CLIP) as words:
            cosines = Pictures(vectors).similarities(words(["a photo of a lemon"]))[:, 0]
        np.testing.assert_allclose(widget.answer.similarities[:, 0], cosines, atol=1e-5)

    def test_columns_that_are_not_as_the_model_made_them_are_not_compared_with_words(self):
        data = embedded(photo_paths())
        columns, metas = data.domain.attributes, data.domain.metas
        expected = self.cosines(["lemon"])[:, 0]
        widget = self.make(typed="lemon")
        for changed in (
            data.transform(Domain(sorted(columns, key=lambda column: column.name), metas=metas)),
            data.transform(Domain(columns[:100], metas=metas)),
            Normalize()(data),
        ):
            self.give(widget, changed)
            found = widget.answer.similarities[:, 0]
            np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_images_that_cannot_be_read_fit_nothing(self):
        widget = self.make(typed="lemon", match=str(Match.THRESHOLD), threshold=-1.0)
        self.give(widget, image_table([*photo_paths()[:3], "no such file.png"]))
        assert widget.Warning.skipped.is_shown()
        assert np.isnan(self.output(widget, "Data").get_column("lemon")[3])
        assert len(self.output(widget, "Matching Images")) == 3

    def test_without_the_model_it_offers_the_download_and_goes_on_after_it(self):
        shutil.rmtree(self.models)
        with Hub() as hub:
            self.monkeypatch.setenv("HF_ENDPOINT", hub.url())
            put_clip(hub, self.monkeypatch)
            widget = self.make(typed="lemon")
            self.give(widget, image_table(photo_paths()))
            assert widget.Warning.download.is_shown() and widget.told == "Press Download."
            assert not hub.requests  # nothing is fetched unasked
            widget.panel.download.fetch.click()
            self.finish(widget)
        assert not widget.Warning.download.is_shown()
        assert len(self.output(widget, "Data")) == 13

    def test_other_languages_are_remarked_on(self):
        widget = self.make()
        self.type(widget, "limona")
        assert not widget.Information.english.is_shown()
        self.type(widget, "赤い自転車")
        assert widget.Information.english.is_shown()

    def test_data_without_images_none_and_nothing_typed(self):
        widget = self.make(typed="lemon")
        self.give(widget, Table("iris"))
        assert widget.Error.no_image_attribute.is_shown()
        self.give(widget, None)
        assert widget.told == "No data." and self.output(widget, "Data") is None
        self.give(widget, image_table(photo_paths()[:2]))
        self.type(widget, "  \n ")
        assert self.output(widget, "Data") is None and widget.told == "Type what you look for."

    def test_new_data_in_mid_run_and_deletion_in_mid_run_leave_nothing_behind(self):
        widget = self.make(typed="lemon")
        self.send_signal(widget.Inputs.data, image_table(photo_paths()), widget=widget)
        self.give(widget, image_table(photo_paths()[:2]))
        assert len(self.output(widget, "Data")) == 2
        widget.panel.words.setPlainText("fox")
        until(lambda: widget.is_running)
        widget.onDeleteWidget()

    def test_broken_settings_of_a_workflow_are_left_out(self):
        defaults = self.make()
        names = ["image_attribute", "typed", "template", "match", "top", "threshold", "sort_by"]
        names += ["auto_commit", "pictures_folder"]
        for broken in (5.5j, [1], float("nan"), b"x", {}):
            widget = self.make(**dict.fromkeys(names, broken))
            for name in names:
                assert getattr(widget, name) == getattr(defaults, name)
        broken = {"typed": "x" * 10**6, "template": None, "match": "x", "top": 0, "threshold": 2.0}
        widget = self.make(**broken)
        for name in broken:
            assert getattr(widget, name) == getattr(defaults, name)
        widget = self.make(typed="lemon\ncow", top=3, threshold=0, pictures_folder="a")
        assert (widget.typed, widget.top, widget.pictures_folder) == ("lemon\ncow", 3, "a")
        assert widget.threshold == 0

    def test_report(self):
        widget = self.make(typed="lemon")
        self.give(widget, image_table(photo_paths()[:2]))
        widget.send_report()
        assert "lemon" in widget.report_html

    def test_a_strangers_settings_are_text_in_the_report(self):
        tag = '<img src="http://127.0.0.1/seen">'
        widget = self.make(typed=tag, template=tag)
        widget.send_report()
        assert "<img" not in widget.report_html and widget.report_html.count("&lt;img") == 2


def test_queries_are_read_from_text_from_categories_and_each_once():
    assert queries_of(texts("a", " b ", "a", "")) == ("a", "b")
    assert set(queries_of(Table("iris"))) == {"Iris-setosa", "Iris-versicolor", "Iris-virginica"}
    assert queries_of(Table("housing")) == ()
    assert distinct(["x  y", "x y"]) == ("x y",)


def test_the_top_are_those_of_each_query():
    similarities = np.array([[0.3, 0.1], [0.2, 0.1], [0.1, 0.2], [np.nan, np.nan]], np.float32)
    found = answered(similarities, Question(("a", "b"), "{}", Match.TOP, 1, 0, ""))
    assert found.matching.tolist() == [True, False, True, False]
    assert found.best.tolist() == [0, 0, 1, -1] and found.order.tolist() == [0, 1, 2, 3]


def test_the_wording_stands_around_each_query():
    question = Question(("a {lemon}", "cow"), "a photo of {}!", Match.TOP, 1, 0, "")
    assert question.texts == ["a photo of a {lemon}!", "a photo of cow!"]
