"""What all tests share: nothing of the user's own is touched, and nothing is left running."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings
from Orange.data import Table

from orangecontrib.imageanalytics.surroundings import Surroundings, surround, surroundings

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

PHOTOS = Path(__file__).parent.parent / "examples" / "photos"

# Examples of all kinds take what they take: other programs may keep the cores busy.
settings.register_profile(
    "no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no deadline")

# As Orange's own tests have it: a write into a table that nobody unlocked is an error.
Table.LOCKING = True


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Give each test a cache, and no server, token, hub or models folder but its own."""
    monkeypatch.setenv("ORANGE_IMAGE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("ORANGE_IMAGE_MODELS", str(tmp_path_factory.mktemp("models")))
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    for name in (
        *("ORANGE_EMBEDDING_API_URL", "ORANGE_EMBEDDING_TOKEN", "ORANGE_IMAGE_DOWNLOAD"),
        *("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE"),
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def surrounded_by(own_surroundings: None) -> Iterator[Surroundings]:
    """Let each test begin as a script of its own, whichever test has imported the widgets."""
    before, own = surroundings(), Surroundings()
    surround(own)
    yield own
    surround(before)


@pytest.fixture
def photos() -> list[Path]:
    """The photos of the examples, fruits last."""
    return sorted(PHOTOS.rglob("*.png"))


def workers() -> set[psutil.Process]:
    """Worker processes of this one; loky's resource trackers do no work."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(
                child.cmdline()
            ):
                found.add(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture
def no_new_workers() -> Iterator[None]:
    """Check that the test leaves no worker process behind.

    A run that was cancelled as it began may start its workers only now, to end them at once.
    """
    before = workers()
    yield
    deadline = time.monotonic() + 2
    while not (left := workers()) <= before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left <= before
