"""One thread does all, as long as it gets on; then another one does."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from orangecontrib.imageanalytics.thumbnails import crew
from orangecontrib.imageanalytics.thumbnails.crew import Crew


class Work:
    """What is to be done, who has done it, and who does it."""

    def __init__(self) -> None:
        self.todo: deque[Callable[[], object]] = deque()
        self.at_work = 0
        self.done_by: list[int] = []
        self.ended: list[int] = []
        self.crew = Crew(
            "test crew",
            self._step,
            lambda: not self.todo and not self.at_work,
            lambda: self.ended.append(threading.get_ident()),
        )

    def _step(self) -> bool:
        try:
            do = self.todo.popleft()
        except IndexError:
            return False
        self.at_work += 1
        do()
        self.at_work -= 1
        self.done_by.append(threading.get_ident())
        return True

    def give(self, *todo: Callable[[], object]) -> None:
        self.todo.extend(todo)
        self.crew.wake()


def threads() -> int:
    return sum(thread.name == "test crew" for thread in threading.enumerate())


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def nothing() -> None:
    pass


def test_one_thread_does_what_is_done_quickly() -> None:
    work = Work()
    for _ in range(50):
        work.give(nothing, nothing)
    until(lambda: len(work.done_by) == 100)
    time.sleep(3 * crew._PATIENCE)
    assert len(set(work.done_by)) == 1
    assert threads() == 2  # and the one that watches
    work.crew.close()
    until(lambda: threads() == 0)
    assert len(set(work.ended)) == 2


def test_others_go_on_while_one_is_held_up_and_one_is_left_in_the_end() -> None:
    work, drive = Work(), threading.Event()
    work.give(drive.wait, nothing, drive.wait, nothing)
    until(lambda: len(work.done_by) == 2)
    drive.set()
    until(lambda: len(work.done_by) == 4)
    until(lambda: threads() == 2)
    work.give(nothing)
    until(lambda: len(work.done_by) == 5)
    work.crew.close()
    until(lambda: threads() == 0)


def test_a_dead_drive_holds_up_no_more_than_some_threads_and_not_the_end_of_the_others() -> None:
    work, drive = Work(), threading.Event()
    work.give(*[drive.wait] * 30)
    until(lambda: threads() == crew._MOST + 1)
    time.sleep(3 * crew._PATIENCE)
    assert threads() == crew._MOST + 1
    work.crew.close()
    until(lambda: bool(work.ended))
    drive.set()
    until(lambda: threads() == 0)
    assert len(work.done_by) == crew._MOST
    work.crew.wake()
    assert threads() == 0


def test_what_is_closed_before_it_began_has_no_threads() -> None:
    work = Work()
    work.crew.close()
    work.give(nothing)
    assert threads() == 0
    assert not work.done_by
