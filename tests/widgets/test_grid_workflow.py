"""The example workflow *Alike side by side*, run to its end by Orange's own loader."""

from pathlib import Path

import numpy as np
import pytest
from AnyQt.QtCore import Qt

from tests.conftest import PHOTOS
from tests.widget_case import until
from tests.widgets.test_images_view import processes_have_ended
from tests.workflows import finish, opened, own_user, widget_named

__all__ = ["own_user"]

EXAMPLE = PHOTOS.parent / "alike-side-by-side.ows"


@pytest.fixture
def run(own_user, no_new_workers):
    with opened(EXAMPLE) as scheme:
        finish(scheme)
        yield scheme
    until(processes_have_ended)


def test_fruits_lie_beside_fruits_and_what_is_selected_goes_on(run):
    grid = widget_named(run, "Image Grid")
    until(lambda: grid.task is None)
    titles = [grid.view.images.title(row) for row in range(13)]
    fruits = {Path(photo).stem for photo in (PHOTOS / "fruit").iterdir()}
    is_fruit = np.array([title in fruits for title in titles])
    places = np.stack(np.divmod(grid.arranged.cells, grid.arranged.grid.columns), axis=1)
    apart = np.abs(places[:, None] - places).max(axis=2).astype(float)
    np.fill_diagonal(apart, np.inf)
    beside = apart == 1
    alike = (is_fruit[:, None] == is_fruit) & beside
    assert alike.sum() > 0.6 * beside.sum()  # by chance it would be 0.46 of them
    grid.view.picked.emit(np.flatnonzero(is_fruit), Qt.KeyboardModifier.NoModifier)
    finish(run)
    viewer = widget_named(run, "Image Viewer")
    assert {viewer.view.images.title(row) for row in range(6)} == fruits
    for node in run.nodes:
        assert [m.contents for m in node.state_messages() if m.contents] == [], node.title


def test_the_example_holds_no_pickles_and_no_absolute_paths():
    text = EXAMPLE.read_text("utf-8")
    assert 'format="pickle"' not in text
    assert text.count('format="literal"') == 4
