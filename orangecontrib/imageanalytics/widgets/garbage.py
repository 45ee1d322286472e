"""When Python looks through all objects for garbage: not while something moves on the screen.

Objects that hold each other in a ring are found by a collection, for which all threads stand still.
The young ones take a millisecond. A full one looks at all objects that there are: 0.13 s for the
250 000 of Orange without any data, on a fast computer, and Orange's window stops in mid-scroll.
It can wait for a second; nothing is kept longer by that but rings that are old.
"""

from __future__ import annotations

import gc

from AnyQt.QtCore import QCoreApplication, QTimer

#: Milliseconds after the last movement in which there is no full collection yet.
_STILL = 500
#: How many collections of the middle generation come before a full one, meanwhile.
_NEVER = 2**30

_timer: QTimer | None = None
_usual = gc.get_threshold()


def put_off_collection() -> None:
    """Let there be no full collection for a moment; to be called at each movement."""
    global _timer, _usual
    now = gc.get_threshold()
    if now[0] == 0:  # somebody has turned it off
        return
    if now[2] != _NEVER:
        _usual = now
        gc.set_threshold(now[0], now[1], _NEVER)
    if _timer is None:
        _timer = QTimer(QCoreApplication.instance(), singleShot=True, interval=_STILL)
        _timer.timeout.connect(_collect_as_usual)
    _timer.start()


def _collect_as_usual() -> None:
    if gc.get_threshold()[2] == _NEVER:
        gc.set_threshold(*_usual)
