"""Image Grid's reference images: what is most like them is marked, and can be selected."""

from __future__ import annotations

import numpy as np
from Orange.data import Table

from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid
from tests.widget_case import photo_paths, until
from tests.widgets.test_owimagegrid import GridTest, pictures
from tests.widgets.test_owimageviewer import embedded


class TestReferences(GridTest):
    def compare(self, widget: OWImageGrid, references: Table | None) -> None:
        self.send_signal(widget.Inputs.references, references, widget=widget)
        self.settle(widget)

    def settle(self, widget: OWImageGrid) -> None:
        until(lambda: widget.task is None and not widget.references.is_pending, 100)

    def marked(self, widget: OWImageGrid, count: int = 39) -> dict[int, str]:
        marks = {row: widget.stage.marks.of(row) for row in range(count)}
        assert all(mark.dimmed != bool(mark.badge) for mark in marks.values())
        return {row: mark.badge for row, mark in marks.items() if mark.badge}

    def test_the_most_alike_are_marked_with_their_ranks_and_the_others_dimmed(self):
        widget = self.make(most_alike=3)
        data = pictures(13, 3)
        self.give(widget, data)
        assert not widget.panel.references.isVisible()
        self.compare(widget, data[[4]])
        assert widget.panel.references.isVisible()
        marked = self.marked(widget)
        assert set(marked) == {4, 17, 30} and marked[4] == "1"
        assert set(marked.values()) == {"1", "2", "3"}
        assert "no. 1" in widget.stage.marks.of(4).caption
        assert not widget.groups.any()  # the user's selection is not touched
        widget.panel.alike.setValue(5)
        assert len(self.marked(widget)) == 5 and widget.most_alike == 5

    def test_they_can_be_selected(self):
        widget = self.make(most_alike=3)
        data = pictures(13, 3)
        self.give(widget, data)
        self.compare(widget, data[[4]])
        widget.panel.select.click()
        assert np.flatnonzero(widget.groups).tolist() == [4, 17, 30]
        assert len(self.outputs(widget)[0]) == 3

    def test_references_may_come_first_and_go(self):
        widget = self.make(most_alike=3)
        data = pictures(13, 3)
        self.send_signal(widget.Inputs.references, data[[4]], widget=widget)
        self.give(widget, data)
        self.settle(widget)
        assert set(self.marked(widget)) == {4, 17, 30}
        self.compare(widget, None)
        assert widget.stage.marks.ranks is None and not widget.panel.references.isVisible()
        assert not any(widget.stage.marks.of(row).dimmed for row in range(39))

    def test_references_that_come_in_mid_run_wait_for_its_end(self):
        widget = self.make(method="t-SNE", most_alike=3)
        data = pictures(13, 3)
        self.send_signal(widget.Inputs.data, data, widget=widget)
        until(lambda: widget.arranged is not None)
        self.compare(widget, data[[4]])
        assert widget.arranged.is_last and set(self.marked(widget)) == {4, 17, 30}

    def test_other_data_is_compared_anew(self):
        widget = self.make(most_alike=1)
        data = pictures(13, 3)
        self.give(widget, data)
        self.compare(widget, data[[4]])
        self.give(widget, pictures(13))
        self.settle(widget)
        assert set(self.marked(widget, 13)) == {4}

    def test_those_without_the_same_embedding_are_said_to_be_none(self):
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:4], [[1.0, 2.0], [2, 1], [0, 3], [5, 5]]))
        references = embedded(photo_paths()[:1], [[np.nan, np.nan]])
        self.compare(widget, references)
        assert widget.Warning.other_references.is_shown()
        assert widget.stage.marks.ranks is None and not widget.panel.select.isEnabled()
        self.compare(widget, None)
        assert not widget.Warning.other_references.is_shown()

    def test_labels_that_are_chosen_while_they_are_compared_do_not_end_it_for_good(self):
        widget = self.make(most_alike=3)
        data = pictures(13, 3)
        self.give(widget, data)
        self.send_signal(widget.Inputs.references, data[[4]], widget=widget)
        widget.panel.label.setCurrentIndex(widget.panel.label.findData("kind"))
        widget.panel.label.activated.emit(1)
        self.settle(widget)
        assert set(self.marked(widget)) == {4, 17, 30} and widget.view.images.title(1) == "b"

    def test_they_are_compared_though_the_arrangement_was_cancelled(self):
        widget = self.make(method="t-SNE", most_alike=3)
        data = pictures(13, 3)
        self.send_signal(widget.Inputs.data, data, widget=widget)
        self.send_signal(widget.Inputs.references, data[[4]], widget=widget)
        until(lambda: widget.arranged is not None)
        widget.cancel_button.click()
        self.settle(widget)
        assert set(self.marked(widget)) == {4, 17, 30}

    def test_references_that_change_while_they_are_compared_are_compared_anew(self):
        widget = self.make(most_alike=3)
        data = pictures(13, 3)
        self.give(widget, data)
        self.send_signal(widget.Inputs.references, data[[4]], widget=widget)
        assert widget.task is not None
        self.compare(widget, data[[5]])
        assert set(self.marked(widget)) == {5, 18, 31}
        self.send_signal(widget.Inputs.references, data[[4]], widget=widget)
        self.compare(widget, None)
        assert widget.stage.marks.ranks is None

    def test_a_widget_that_is_deleted_begins_nothing_any_more(self):
        widget = self.make()
        data = pictures(13, 3)
        self.send_signal(widget.Inputs.references, data[[4]], widget=widget)
        self.send_signal(widget.Inputs.data, data, widget=widget)
        until(lambda: widget.arranged is not None and widget.task is None)
        widget.onDeleteWidget()
        until(lambda: widget.task is None)
