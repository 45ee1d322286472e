"""The example workflow, run to its end by Orange's own loader."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from Orange.canvas.config import Config
from Orange.clustering.hierarchical import leaves
from orangecanvas.application.examples import workflows

from tests.conftest import PHOTOS
from tests.workflows import finish, opened, own_user, widget_named

__all__ = ["own_user"]

EXAMPLE = PHOTOS.parent / "image-clustering.ows"


@pytest.fixture
def run(own_user, no_new_workers):
    with opened(EXAMPLE) as scheme:
        finish(scheme)
        yield scheme


def test_the_example_clusters_fruits_with_fruits_and_animals_with_animals(run):
    clustering = widget_named(run, "Hierarchical Clustering")
    categories = [
        {str(clustering.items[leaf.value.index].get_class()) for leaf in leaves(branch)}
        for branch in clustering.root.branches
    ]
    assert sorted(categories, key=sorted) == [{"animal"}, {"fruit"}]
    assert sum(1 for _ in leaves(clustering.root)) == 13


def test_the_example_runs_without_a_question_and_without_messages(run):
    for node in run.nodes:
        assert [m.contents for m in node.state_messages() if m.contents] == [], node.title
    table = widget_named(run, "Data Table")
    assert len(table.input.table) == 13
    images = widget_named(run, "Import Images")
    assert images.told == "13 images, 2 categories."
    assert images.current == str(PHOTOS) and images.folder == "photos"


def test_the_example_holds_no_pickles_and_no_absolute_paths():
    text = EXAMPLE.read_text("utf-8")
    assert 'format="pickle"' not in text
    assert text.count('format="literal"') == 5
    assert "'folder': 'photos'" in text and "file:" not in text and ":\\" not in text


def test_orange_lists_the_example_once_the_package_is_installed():
    if not entry_points(group="orange.widgets.tutorials", name="Image Analytics"):
        pytest.skip("the package is not installed, only on the path")
    found = {workflow.resource: workflow for workflow in workflows(Config())}
    example = Path(found[EXAMPLE.name].abspath())
    assert example.read_bytes() == EXAMPLE.read_bytes()
    assert len(list((example.parent / "photos").rglob("*.png"))) == 13
