"""The life of a run in a widget, once: a widget that computes in a thread derives from this.

What a widget does for it::

    class OWCount(Background):
        name = "Count"

        class Outputs:
            count = Output("Count", Table)

        def __init__(self):
            super().__init__()
            self.controlArea.layout().addWidget(self.words)
            self.controlArea.layout().addWidget(self.cancel_button)

        @Inputs.data
        def set_data(self, data):
            self.cancel()
            self.Outputs.count.send(None)
            if data:
                self.start(count, data)

        def on_done(self, result):
            self.Outputs.count.send(result)
            self.tell("Counted.")

    def count(data, run):              # in a thread; the run comes after the other arguments
        for done, row in enumerate(data):
            run.tell(f"Row {done} of {len(data)}", done / len(data))    # ends it if not wanted

A function that runs touches neither the widget nor Qt. `start` and `cancel` are called in the
window's thread; `start` not from `on_done`, which Orange forbids.
"""

from __future__ import annotations

import html
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import QPushButton
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin, TaskState
from Orange.widgets.widget import Msg, OWWidget

from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.widgets.controls import wrapped

#: Seconds between two signs of progress: a warm run of 10 000 images takes a second or two, and
#: a signal for each would keep the GUI thread busy.
_INTERVAL = 0.05

_TAG = re.compile(r"<(?=[^\W\d]|[/!?])")  # what HTML takes for the begin of a tag


class Interrupted(Exception):
    """The run is not wanted any more."""


class _Text:
    """A group of messages that are text, wherever Orange shows them.

    One alone is text in the window's status bar; several, and all of them on the canvas, are HTML.
    Escaped, it would be wrong in one place: what could begin a tag is written with another sign.
    """

    def activate_msg(self, msg: Any, msg_id: int | None = None) -> None:
        """Show a message, without anything that is taken for a tag."""
        msg.formatted = _TAG.sub("‹", msg.formatted)
        super().activate_msg(msg, msg_id)  # type: ignore[misc]


class Run:
    """What a function that runs in a thread is given: to tell how far it is, and to end early.

    Parameters
    ----------
    state : TaskState
        Orange's, which carries the signs to the window's thread.
    """

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self._told = ""
        self._next = float("-inf")

    @property
    def is_wanted(self) -> bool:
        """Whether its result is still awaited: not cancelled, no newer run, the widget there."""
        return not self._state.is_interruption_requested()

    def check(self) -> None:
        """End the run if it is not wanted any more.

        Raises
        ------
        Interrupted
            To be left alone: it ends the function.
        """
        if not self.is_wanted:
            raise Interrupted

    def tell(self, words: str, fraction: float | None = None) -> None:
        """Tell how far it is, as often as one likes, and end the run if it is not wanted any more.

        Parameters
        ----------
        words : str
            What is going on; shown at most every twentieth of a second, the end always.
        fraction : float, optional
            How much is done, 0 to 1. It never falls in the window.

        Raises
        ------
        Interrupted
            As `check`.
        """
        self.check()
        now = time.monotonic()
        is_end = fraction is not None and fraction >= 1 and words != self._told
        if now < self._next and not is_end:
            return
        self._told, self._next = words, now + _INTERVAL
        if fraction is not None:
            self._state.set_progress_value(100 * fraction)
        self._state.set_status(words)

    def send(self, part: object) -> None:
        """Give a part of the result to the widget's `on_partial_result`, if it is still wanted.

        Raises
        ------
        Interrupted
            As `check`.
        """
        self.check()
        self._state.set_partial_result(part)


class Background(OWWidget, ConcurrentWidgetMixin, openclass=True):  # type: ignore[call-arg]
    """A widget that computes in a thread, one run at a time.

    - `start(function, *arguments)` begins a run, and ends the one before. Each has a thread of its
      own: one that hangs in the operating system keeps neither the next run, nor the window, nor
      Orange's exit waiting.
    - `on_done(result)`, which every widget writes, is called in the window's thread, and
      `on_partial_result(part)` for what `Run.send` gives; neither after `cancel`.
    - `cancel()` ends what runs at once, without a word (new data, another choice); `cancel_run()`
      is for the user, says so, and is what the button does.
    - What the function raises is said by `explain`, or here; what nobody expected goes to
      Orange's reporter as well.

    Attributes
    ----------
    words : QLabel
        What is going on, or what came out; for the widget to place.
    cancel_button : QPushButton
        Enabled while something runs; for the widget to place.
    """

    class Error(_Text, OWWidget.Error):
        failed = Msg("{}")
        no_memory = Msg("There is not enough memory for so much data.")
        unexpected = Msg("It failed unexpectedly: {}")

    class Warning(_Text, OWWidget.Warning):
        pass

    class Information(_Text, OWWidget.Information):
        cancelled = Msg("Cancelled.")

    #: The workflow's file is in another folder now: which, and which before; None if in none.
    workflow_moved = Signal(object, object)

    #: What `words` says when a run ended with an error, whose message stands elsewhere.
    nothing = "There is no result."

    _ConcurrentMixin__executor: Executor

    def __init__(self) -> None:
        OWWidget.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        # The one reach into what is Orange's own: its executor has one thread, and joins it.
        self._ConcurrentMixin__executor.shutdown(wait=False)
        self._ConcurrentMixin__executor = DaemonThreads(self.name)
        self.words = wrapped(self)
        self.cancel_button = QPushButton(
            "&Cancel", self, autoDefault=False, enabled=False, clicked=self.cancel_run
        )
        self.processingStateChanged.connect(self._show_running)
        self.statusMessageChanged.connect(self._show_status)

    @property
    def is_running(self) -> bool:
        """Whether a run is going on."""
        return self.task is not None

    def tell(self, words: str) -> None:
        """Show what is going on, or what came out."""
        self.words.setText(words)

    @property
    def told(self) -> str:
        """What was last told."""
        return str(self.words.text())

    def start(self, task: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a function in a thread; a run that is going on ends.

        Parameters
        ----------
        task : callable
            Called with `args`, then a `Run`, and `kwargs`.
        """
        self.cancel()
        self.clear_run_messages()
        super().start(partial(_call, task), *args, **kwargs)

    def cancel(self) -> None:
        """End what runs, if anything; its thread notices when it next tells how far it is."""
        if self.task is not None:
            # The thread may outlive the widget, and needs this until it ends.
            self.task.setParent(None)
        super().cancel()

    def cancel_run(self) -> None:
        """End what runs, as the user wants."""
        if self.is_running:
            self.cancel()
            self.Information.cancelled()
            self.tell("Cancelled.")
            self.on_cancelled()

    def clear_run_messages(self) -> None:
        """Take back what was said of the run before."""
        for message in (self.Error.failed, self.Error.no_memory, self.Error.unexpected):
            message.clear()
        self.Information.cancelled.clear()

    def on_partial_result(self, result: Any) -> None:
        """Take a part of the result; there are none unless the function sends some."""

    def on_cancelled(self) -> None:
        """Do what else belongs to a cancel by the user."""

    def explain(self, error: Exception) -> bool:
        """Show a message for an error of the widget's own; say whether there is one."""
        return False

    def on_exception(self, ex: Exception) -> None:
        """Say what ended the run."""
        self.tell(str(ex) if isinstance(ex, EmbeddingError) else self.nothing)
        if self.explain(ex):
            return
        if isinstance(ex, EmbeddingError):
            self.Error.failed(ex)
        elif isinstance(ex, MemoryError):
            self.Error.no_memory()
        else:
            self.Error.unexpected(str(ex) or type(ex).__name__, exc_info=ex)
            # To Orange's reporter. Raised here, it would leave the widget marked as busy.
            sys.excepthook(type(ex), ex, ex.__traceback__)

    # Orange puts what a report is told into its HTML as it is. A column's name or a setting of a
    # stranger's workflow could then make the report's view, a browser, fetch an address.

    def report_name(self, name: str) -> None:
        """Begin a part of the report; its name is text, not HTML."""
        super().report_name(html.escape(str(name)))

    def report_items(self, name: Any, items: Any = None) -> None:
        """Add names with values to the report, all of them text; a value of None is left out.

        Parameters
        ----------
        name : str
            What is above them; may be left out, as in Orange's own.
        items : dict, or sequence of pairs
        """
        title, items = self._fix_args(name, items)
        pairs = items.items() if isinstance(items, dict) else items
        super().report_items(title, [(_as_html(key), _as_html(value)) for key, value in pairs])

    def report_paragraph(self, name: str, text: str | None = None) -> None:
        """Add a paragraph of text to the report; its name may be left out."""
        title, text = self._fix_args(name, text)
        super().report_paragraph(title, html.escape(str(text)))

    def workflowEnvChanged(self, key: str, value: Any, oldvalue: Any) -> None:
        """Tell those that keep folders relative to the workflow's file that it has moved."""
        if key == "basedir":
            self.workflow_moved.emit(value, oldvalue)

    def onDeleteWidget(self) -> None:
        """End what runs, without waiting for its thread.

        Orange's own `shutdown` waits: 160 ms, or for a hung drive's answer, in which the window
        would stand still.
        """
        self.cancel()
        super().onDeleteWidget()

    def _show_running(self, state: int) -> None:
        self.cancel_button.setEnabled(bool(state))

    def _show_status(self, words: str) -> None:
        if words:  # Orange clears its own status when a run ends: ours says what came out
            self.tell(words)


def _as_html(value: object) -> object:
    """Escape what is reported; None and False are what Orange leaves out."""
    return value if value is None or value is False else html.escape(str(value))


def _call(task: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a task with a `Run` in the place of Orange's state, which comes last."""
    *given, state = args
    return task(*given, Run(state), **kwargs)
