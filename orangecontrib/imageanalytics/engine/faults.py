"""What stops an engine, in words for people."""

from __future__ import annotations

from orangecontrib.imageanalytics.outcome import WorkerError


def told(error: BaseException) -> str:
    """Put an error into one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def dies_at_start(error: BaseException) -> WorkerError:
    """Say that the processes end before they have answered."""
    return WorkerError(
        f"The process that decodes images ends as soon as it starts ({told(error)}). "
        "Reinstalling onnxruntime and Pillow may help."
    )


def starts_too_slowly(seconds: float) -> WorkerError:
    """Say that no process has answered in time."""
    return WorkerError(
        f"The process that decodes images did not start within {seconds:.0f} s. "
        "A virus scanner or an overloaded computer may hold it back; try again."
    )


def as_embedding_error(error: BaseException) -> BaseException:
    """Say what is missing when a worker cannot import what it needs, or cannot be started."""
    if isinstance(error, ImportError):
        name = error.name or "a library"
        worker_error = WorkerError(
            f"The process that decodes images cannot start: {name} cannot be imported ({error}). "
            f"Install or repair it: python -m pip install --force-reinstall {name}"
        )
        worker_error.__cause__ = error
        return worker_error
    if isinstance(error, OSError):
        return WorkerError(
            f"The processes that decode images cannot be started: {error}. Close other programs, "
            "or use fewer workers."
        )
    return error
