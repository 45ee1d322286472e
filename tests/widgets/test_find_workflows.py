"""The example workflows *Alike photos* and *Finding photos by words*, in Orange's own loader."""

import pytest

from orangecontrib.imageanalytics.models.downloading import download
from tests.clip import put_clip
from tests.conftest import PHOTOS
from tests.hub import Hub
from tests.widget_case import until
from tests.widgets.test_images_view import processes_have_ended
from tests.workflows import finish, opened, own_user, widget_named

__all__ = ["own_user"]

ALIKE = PHOTOS.parent / "alike-photos.ows"
FINDING = PHOTOS.parent / "finding-photos.ows"


def rest(scheme, widget):
    finish(scheme)
    until(lambda: not widget.is_running and not widget._waiting.isActive())
    finish(scheme)


def test_alike_photos_are_in_groups_and_one_of_each_is_kept(own_user, no_new_workers):
    with opened(ALIKE) as scheme:
        duplicates = widget_named(scheme, "Duplicate Images")
        until(lambda: duplicates.groups is not None)
        rest(scheme, duplicates)
        members = len(duplicates.groups.order)
        groups = len(duplicates.groups.sizes)
        assert groups >= 1 and members < 13  # some are alike, not all
        viewer = widget_named(scheme, "Image Viewer")
        assert viewer.told == f"{13 - members + groups} images"
        for node in scheme.nodes:
            assert [m.contents for m in node.state_messages() if m.contents] == [], node.title
    until(processes_have_ended)


def test_finding_photos_asks_for_the_model_and_finds_with_it(
    own_user, no_new_workers, tmp_path, monkeypatch
):
    with opened(FINDING) as scheme:
        words = widget_named(scheme, "Find Images by Words")
        until(lambda: words.Warning.download.is_shown())
        rest(scheme, words)
        assert words.sent is None
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url())
        download(put_clip(hub, monkeypatch), tmp_path / "models")
    monkeypatch.setenv("ORANGE_IMAGE_MODELS", str(tmp_path / "models"))
    with opened(FINDING) as scheme:
        words = widget_named(scheme, "Find Images by Words")
        until(lambda: words.sent is not None)
        rest(scheme, words)
        assert words.answer.question.queries == ("lemon", "zebra", "red fruit")
        labels = widget_named(scheme, "Data Table").input.table
        assert len(labels) == 13 and labels.domain["best label"].values[0] == "lemon"
    until(processes_have_ended)


@pytest.mark.parametrize("example", [ALIKE, FINDING], ids=lambda path: path.stem)
def test_they_hold_no_pickles_and_no_absolute_paths(example):
    text = example.read_text("utf-8")
    assert 'format="pickle"' not in text and "file:" not in text and ":\\" not in text
