"""The example workflow *Looking at photos*, run to its end by Orange's own loader."""

from pathlib import Path

import pytest

from tests.conftest import PHOTOS
from tests.widget_case import until
from tests.widgets.test_images_view import processes_have_ended
from tests.workflows import finish, opened, own_user, widget_named

__all__ = ["own_user"]

EXAMPLE = PHOTOS.parent / "looking-at-photos.ows"


@pytest.fixture
def run(own_user, no_new_workers):
    with opened(EXAMPLE) as scheme:
        finish(scheme)
        yield scheme
    until(processes_have_ended)


def test_the_photos_of_the_clusters_are_shown_and_what_is_selected_goes_on(run):
    viewer = widget_named(run, "Image Viewer")
    assert viewer.told == "13 images"
    assert viewer.view.has_similarity
    titles = [viewer.view.images.title(row) for row in range(13)]
    lemon = titles.index("lemon")
    viewer.view.more_like_this.emit([lemon])
    finish(run)
    assert viewer.sorting_used == "similarity"
    order = viewer.view.images.order.tolist()
    fruits = {Path(photo).stem for photo in (PHOTOS / "fruit").iterdir()}
    assert order[0] == lemon
    assert {titles[row] for row in order[:6]} == fruits
    table = widget_named(run, "Data Table").input.table
    assert [str(row["image name"]) for row in table] == ["lemon"]


def test_the_example_runs_without_a_question_and_without_messages(run):
    for node in run.nodes:
        assert [m.contents for m in node.state_messages() if m.contents] == [], node.title


def test_the_example_holds_no_pickles_and_no_absolute_paths():
    text = EXAMPLE.read_text("utf-8")
    assert 'format="pickle"' not in text
    assert text.count('format="literal"') == 6
    assert "file:" not in text and ":\\" not in text
