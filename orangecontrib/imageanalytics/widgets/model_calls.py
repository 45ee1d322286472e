"""What happens in Orange's window while a model looks at pictures that it has not seen.

Predictions, and others, call models in the GUI thread. There the pictures are embedded by another
thread, and a dialog says how far it is and can end it, while the window stays alive. Nobody can
change the workflow meanwhile, and Orange delivers no signals: it is in the midst of one.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from AnyQt.QtCore import QEventLoop, Qt, QTimer
from AnyQt.QtWidgets import QApplication, QProgressBar, QProgressDialog

from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.outcome import ComputedColumnError
from orangecontrib.imageanalytics.surroundings import Surroundings, Work

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.web.reach import Reach

T = TypeVar("T")

#: Seconds without a dialog: pictures that are in the cache take less.
PATIENCE = 0.5
_LOOK = 20  # milliseconds between two looks at how far it is


class OrangeWindow(Surroundings):
    """Orange's: images go only where the user has agreed, and the window stays alive."""

    has_folder = False

    @property
    def provider(self) -> str:  # type: ignore[override]
        """What computes local models, as the user has chosen."""
        from orangecontrib.imageanalytics.widgets.user_settings import user_settings

        return user_settings().provider

    def choose(self, address: str, token: str | None = None) -> None:
        """Do nothing: here only the user agrees, and may take it back."""

    def token_for(self, address: str) -> str | None:
        """Give the user's token, if the server is the user's own and the user has agreed to it.

        Raises
        ------
        ComputedColumnError
            If not; a model from a stranger cannot choose where images go.
        """
        from orangecontrib.imageanalytics.server_client.address import server_address, server_name
        from orangecontrib.imageanalytics.widgets.user_settings import user_settings

        user, host = user_settings(), server_name(address)
        if address != server_address(user.server_address):
            raise ComputedColumnError(
                f"The pictures would have to be sent to {host} ({address}), which is not the "
                "server that is set in Image Embedding. No picture has been sent. If you trust it, "
                "choose it there, and agree to send images."
            )
        if not user.may_send_to(host):
            raise ComputedColumnError(
                f"The pictures would have to be sent to {host}, and you have not agreed to that. "
                "No picture has been sent. You can agree in the widget Image Embedding."
            )
        return user.token(host)

    def reach(self) -> Reach:
        """Give the hosts that the user has agreed to fetch web images from."""
        from orangecontrib.imageanalytics.web.reach import Reach
        from orangecontrib.imageanalytics.widgets.user_settings import user_settings

        return Reach(user_settings().web_hosts())

    def wait_for(self, work: Work[T], count: int, title: str) -> T:
        """Do the work, in the GUI thread with the window alive."""
        in_gui = threading.current_thread() is threading.main_thread()
        if not in_gui or QApplication.instance() is None:
            return work(lambda fraction: None)
        return _Waiting(work, count, title).result()


class _Waiting(Generic[T]):
    """The GUI thread's wait for one piece of work."""

    def __init__(self, work: Work[T], count: int, title: str) -> None:
        self._count = count
        self._title = title
        self._share = 0.0
        self._cancelled = threading.Event()
        self._future: Future[T] = DaemonThreads("pictures for a model").submit(work, self._tell)
        self._loop = QEventLoop()

    def result(self) -> T:
        timer = QTimer(interval=_LOOK)
        timer.timeout.connect(self._end_if_done)
        timer.start()
        QTimer.singleShot(round(1000 * PATIENCE), self._loop.quit)
        if not self._future.done():
            self._loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        if not self._future.done():
            self._wait_with_dialog(timer)
        timer.stop()
        if not self._future.done():  # Orange itself is being closed
            self._cancelled.set()
        return self._future.result()

    def _wait_with_dialog(self, timer: QTimer) -> None:
        dialog = QProgressDialog("", "Cancel", 0, self._count, QApplication.activeWindow())
        dialog.setWindowTitle("Looking at pictures")
        dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
        # The dialog's own setValue would process events in the midst of those of the timer.
        bar = QProgressBar(dialog, maximum=self._count)
        dialog.setBar(bar)
        dialog.canceled.connect(self._cancelled.set)

        def show() -> None:
            finished = round(self._share * self._count)
            bar.setValue(finished)
            if not self._cancelled.is_set():
                dialog.setLabelText(
                    f"A model looks at {self._count} pictures.\n"
                    f"Embedding {finished} of {self._count} ({self._title})"
                )

        timer.timeout.connect(show)
        show()
        dialog.show()
        self._loop.exec()
        dialog.close()
        dialog.deleteLater()

    def _end_if_done(self) -> None:
        if self._future.done():
            self._loop.quit()

    def _tell(self, share: float) -> None:
        if self._cancelled.is_set():
            raise ComputedColumnError(
                "Cancelled. What was computed is kept. Image Embedding before this would embed "
                "the pictures in the background."
            )
        self._share = share
