"""What the tests of widgets share: they run in Orange's window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orangecontrib.imageanalytics.surroundings import surround, surroundings
from orangecontrib.imageanalytics.widgets.model_calls import OrangeWindow

from ..workflows import application


@pytest.fixture(scope="session", autouse=True)
def running_application() -> None:
    """Let there be an application, whichever test comes first: without one, Qt crashes."""
    application()


@pytest.fixture(autouse=True)
def surrounded_by(own_surroundings: None) -> Iterator[OrangeWindow]:
    """Let each test begin in a window whose user has agreed to nothing yet."""
    before, own = surroundings(), OrangeWindow()
    surround(own)
    yield own
    surround(before)
