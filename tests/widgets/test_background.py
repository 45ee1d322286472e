"""The life of a run, in a widget that adds nothing of its own to it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from AnyQt.QtWidgets import QApplication, QLabel
from Orange.widgets.tests import base
from orangewidget.workflow.widgetsscheme import user_message_from_state

from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.widgets.background import Background, Interrupted
from orangecontrib.imageanalytics.widgets.controls import tip

from ..widget_case import until


class Third(Background):
    name = "Third"

    def __init__(self):
        super().__init__()
        for part in (self.words, self.cancel_button):
            self.controlArea.layout().addWidget(part)
        self.parts, self.results = [], []

    def on_partial_result(self, result):
        self.parts.append(result)

    def on_done(self, result):
        self.results.append(result)
        self.tell("Done.")


class TestBackground(base.WidgetTest):
    test_minimum_size = test_image_export = test_msg_base_class = test_zero_size_data = None

    def make(self) -> Third:
        return self.create_widget(Third)

    def start(self, widget, task, *args):
        widget.start(task, *args)
        until(lambda: not widget.is_running)

    def hang(self, widget) -> threading.Event:
        """Let a run hang where nothing ends it, until the event that is returned."""
        back, begun = threading.Event(), threading.Event()
        self.addCleanup(back.set)

        def hangs(run):
            begun.set()
            back.wait(60)
            return "late"

        widget.start(hangs)
        assert begun.wait(10)
        return back

    def test_a_run_gets_its_arguments_and_gives_its_result(self):
        widget = self.make()
        self.start(widget, lambda a, b, run: a + b, 1, 2)
        assert widget.results == [3] and widget.told == "Done."
        assert not widget.isInvalidated() and not widget.cancel_button.isEnabled()

    def test_a_run_tells_how_far_it_is_in_words_and_numbers(self):
        widget = self.make()
        told, values = [], []
        widget.statusMessageChanged.connect(told.append)
        widget.progressBarValueChanged.connect(values.append)

        def counts(run):
            for i in range(1001):
                run.tell(f"{i} of 1000", i / 1000)

        self.start(widget, counts)
        assert told[:1] == ["0 of 1000"] and "1000 of 1000" in told
        assert len(told) < 100  # not a signal for each
        assert max(value for value in values if value is not None) == 100

    def test_parts_come_in_order_before_the_result(self):
        widget = self.make()
        self.start(widget, lambda run: [run.send(i) for i in range(5)])
        assert widget.parts == [0, 1, 2, 3, 4] and len(widget.results) == 1

    def test_cancel_is_at_once_and_what_comes_late_is_not_taken(self):
        widget = self.make()
        back = self.hang(widget)
        assert widget.cancel_button.isEnabled() and widget.isInvalidated()
        widget.cancel_button.click()
        assert not widget.is_running and not widget.isInvalidated()
        assert not widget.cancel_button.isEnabled() and widget.told == "Cancelled."
        assert widget.Information.cancelled.is_shown()
        self.start(widget, lambda run: "new")  # though the other's thread still hangs
        assert not widget.Information.cancelled.is_shown()
        back.set()
        until(lambda: not any(t.name == "Third" for t in threading.enumerate()))
        assert widget.results == ["new"]

    def test_another_run_takes_the_place_of_the_one_before(self):
        widget = self.make()
        self.hang(widget).set()
        self.start(widget, lambda run: "second")
        assert widget.results == ["second"]

    def test_what_is_not_wanted_any_more_ends_when_it_next_tells(self):
        widget = self.make()
        ended = threading.Event()

        def tells_for_ever(run):
            try:
                while True:
                    run.tell("on and on")
                    time.sleep(0.001)
            except Interrupted:
                ended.set()
                raise

        widget.start(tells_for_ever)
        until(lambda: widget.told == "on and on")
        widget.cancel()
        assert ended.wait(10)
        QApplication.processEvents()
        assert widget.told == "on and on" and not widget.Error.active  # cancel itself says nothing

    def test_a_deleted_widget_does_not_wait_for_a_thread_that_hangs(self):
        widget = self.make()
        back = self.hang(widget)
        widget.onDeleteWidget()
        self.widgets.remove(widget)
        widget.deleteLater()
        QApplication.processEvents()
        assert not back.is_set()
        back.set()
        until(lambda: not any(t.name == "Third" for t in threading.enumerate()))

    def test_errors_of_ours_are_said_in_their_words(self):
        widget = self.make()
        self.start(widget, fails, EmbeddingError("The model is gone."))
        assert str(widget.Error.failed) == widget.told == "The model is gone."
        self.start(widget, lambda run: None)
        assert not widget.Error.active

    def test_an_error_is_explained_by_the_widget_if_it_can(self):
        widget = self.make()
        widget.explain = lambda error: isinstance(error, OSError)
        self.start(widget, fails, OSError())
        assert not widget.Error.active and widget.told == "There is no result."

    def test_too_little_memory_is_no_fault_of_the_program(self):
        widget = self.make()
        self.start(widget, fails, MemoryError())
        assert widget.Error.no_memory.is_shown()

    def test_what_nobody_expected_goes_to_oranges_reporter(self):
        widget = self.make()
        reported = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "excepthook", lambda *error: reported.append(error))
            self.start(widget, fails, ZeroDivisionError("by zero"))
        assert "by zero" in str(widget.Error.unexpected)
        assert "ZeroDivisionError" in widget.Error.unexpected.tb
        assert reported[0][0] is ZeroDivisionError and not widget.isInvalidated()

    def test_a_report_holds_names_and_values_as_text(self):
        widget = self.make()
        tag = "<img src='http://x.test/'>"
        widget.report_items(tag, [(tag, tag), ("Count", 3), ("Left out", None), ("Too", False)])
        widget.report_items({"Wording": tag})
        widget.report_paragraph(tag, tag)
        widget.report_paragraph(tag)
        report = widget.report_html
        assert "<img" not in report and report.count("&lt;img src=") == 7
        assert "Count" in report and "out" not in report and "Too" not in report

    def test_messages_are_text_on_the_canvas_and_beside_others(self):
        widget = self.make()
        tag = "<img src='//x.test/y'> of 3 < 4 & 5"
        widget.Error.failed(tag)
        assert str(widget.Error.failed) == "‹img src='//x.test/y'> of 3 < 4 & 5"
        assert "<img" not in user_message_from_state(widget.Error).contents
        widget.Information.cancelled()
        shown = [label.text() for label in widget.message_bar.findChildren(QLabel)]
        assert any("img src" in text for text in shown)
        assert not any("<img" in text for text in shown)

    def test_a_tooltip_is_text(self):
        assert tip("<b>a</b>\nb") == "<qt>&lt;b&gt;a&lt;/b&gt;<br>b</qt>" and tip("") == ""


def fails(error, run):
    raise error


def test_orange_leaves_though_a_thread_hangs(tmp_path: Path):
    code = """
        import time
        from AnyQt.QtWidgets import QApplication
        app = QApplication([])
        from tests.widgets.test_background import Third
        widget = Third()
        widget.start(lambda run: time.sleep(600))
        widget.onDeleteWidget()
        print("left")
    """
    code = "\n".join(line.strip() for line in code.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "left" and done.returncode == 0, done.stderr


def test_orange_does_not_list_the_base_of_widgets():
    assert Background.get_widget_description() is None
