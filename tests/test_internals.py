"""What we lean on in other people's packages that they do not promise: a change must show here.

If one of these tests fails, the package has changed inside. Keep its upper bound in pyproject.toml
below that version until the code that is named here has been adapted.
"""

from __future__ import annotations

import inspect
import threading
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

POOL = "engine/pool.py ends loky's processes at once through it"
PROTOCOL = "server/http_protocol.py closes uvicorn's idle connections through it"


@pytest.fixture(scope="module")
def executor():
    """A pool of loky's that has started a process."""
    import loky

    pool = loky.ProcessPoolExecutor(max_workers=1, timeout=10)
    pool.submit(int).result(timeout=60)
    yield pool
    pool.shutdown(wait=True, kill_workers=True)


def test_loky_still_knows_its_processes_by_their_ids(executor):
    processes = getattr(executor, "_processes", None)
    assert isinstance(processes, dict) and all(isinstance(pid, int) for pid in processes), (
        f"loky's ProcessPoolExecutor._processes is no dict of process ids any more: {POOL}."
    )


def test_loky_still_has_one_thread_that_receives_results(executor):
    manager = getattr(executor, "_executor_manager_thread", None)
    assert isinstance(manager, threading.Thread), (
        f"loky's ProcessPoolExecutor._executor_manager_thread is no thread any more: {POOL}."
    )


def test_loky_still_has_a_pipe_of_results_whose_writing_end_can_be_closed(executor):
    writer = getattr(getattr(executor, "_result_queue", None), "_writer", None)
    assert callable(getattr(writer, "close", None)), (
        f"loky's ProcessPoolExecutor._result_queue._writer cannot be closed any more: {POOL}."
    )


def test_loky_still_kills_workers_when_it_is_shut_down(executor):
    assert "kill_workers" in inspect.signature(executor.shutdown).parameters, (
        f"loky's ProcessPoolExecutor.shutdown has no kill_workers any more: {POOL}."
    )


def test_python_still_has_hooks_that_run_before_the_threads_of_pools_are_joined():
    assert callable(getattr(threading, "_register_atexit", None)), (
        "threading._register_atexit is gone: engine/pool.py ends its processes through it when "
        "the interpreter exits, before loky waits for them."
    )


@pytest.mark.parametrize(
    "method", ["connection_made", "data_received", "on_response_complete", "connection_lost"]
)
def test_uvicorn_still_tells_its_protocol_what_happens(method):
    from uvicorn.protocols.http.h11_impl import H11Protocol

    assert callable(getattr(H11Protocol, method, None)), (
        f"uvicorn's H11Protocol.{method} is gone: {PROTOCOL}."
    )


@pytest.mark.parametrize("attribute", ["conn", "loop", "transport"])
def test_uvicorn_still_has_what_its_protocol_is_looked_at_by(attribute):
    from uvicorn.protocols.http.h11_impl import H11Protocol

    assert f"self.{attribute}" in inspect.getsource(H11Protocol), (
        f"uvicorn's H11Protocol.{attribute} is gone: {PROTOCOL}."
    )


@pytest.mark.parametrize("package", ["loky", "uvicorn"])
def test_a_package_whose_inside_is_leant_on_has_an_upper_bound(package):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    (requirement,) = (one for one in needed if one.startswith(package))
    assert "<" in requirement, f"{package} has no upper bound in pyproject.toml."
