"""A session of onnxruntime: what computes a model, the CPU or a GPU.

Nothing is executed but the operators that onnxruntime itself has: no libraries of custom operators,
no session settings from inside the file. And nothing computes in another's place: onnxruntime goes
on with the CPU when a GPU does not start, which gives other numbers and is slow without saying why;
that is switched off.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from orangecontrib.imageanalytics.outcome import ModelFileError, WorkerError

#: What may compute, by the name in arguments and settings: onnxruntime's name and its settings.
#: TF32 would give CUDA's numbers three decimal digits where the CPU's have seven.
PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
    "coreml": ("CoreMLExecutionProvider", {}),
    "directml": ("DmlExecutionProvider", {}),
}


def available_providers() -> list[str]:
    """The keys of `PROVIDERS` that the installed onnxruntime has; it is imported for this.

    Raises
    ------
    WorkerError
        If onnxruntime does not start.
    """
    offered = _onnxruntime().get_available_providers()
    return [name for name, (provider, _) in PROVIDERS.items() if provider in offered]


def check_provider(provider: str) -> None:
    """Refuse a name that is not a key of `PROVIDERS` with a WorkerError."""
    if provider not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise WorkerError(
            f"There is no provider {provider!r} to compute with. Choose from: {known}."
        )


def open_session(path: Path, provider: str) -> Any:
    """Load a file with onnxruntime.

    Parameters
    ----------
    path : Path
        The ONNX file.
    provider : str
        What computes: a key of `PROVIDERS`.

    Returns
    -------
    onnxruntime.InferenceSession
        With one thread: images are shared out among processes, not among threads.

    Raises
    ------
    ModelFileError
        If onnxruntime cannot load the file.
    WorkerError
        If the provider is not there or does not start.
    """
    check_provider(provider)
    offered = available_providers()
    if provider not in offered:
        raise WorkerError(
            f"The onnxruntime that is installed here cannot compute with {provider!r}; it offers "
            f"{', '.join(offered)}. Choose one of these, or install the variant of onnxruntime "
            "for your hardware."
        )
    name, settings = PROVIDERS[provider]
    try:
        session = _onnxruntime().InferenceSession(
            str(path),
            _options(provider),
            providers=[(name, settings)],
            enable_fallback=0,
            read_config_from_model=0,
        )
    except Exception as error:
        how = "" if provider == "cpu" else f" with {provider!r}"
        raise ModelFileError(f"{path} cannot be loaded{how}: {reason(error)}.") from error
    if name not in session.get_providers():
        raise WorkerError(
            f"Computing with {provider!r} was asked for, but onnxruntime could not start it; its "
            "driver or libraries may be missing. Nothing was computed. Repair it, or choose 'cpu'."
        )
    session.disable_fallback()
    return session


def _onnxruntime() -> Any:
    """Import onnxruntime, which takes 0.1 s and belongs into the processes that compute.

    Since version 1.32 it reports its use to Microsoft, on all systems, unless it is told not to
    before it is imported (its Privacy.md).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise WorkerError(
            f"onnxruntime, which computes the models, does not start: {error}. On Windows, "
            "install Microsoft's Visual C++ Redistributable; else install onnxruntime once more."
        ) from error
    return onnxruntime


def _options(provider: str) -> Any:
    options = _onnxruntime().SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; warnings are for those who make models
    if provider == "directml":
        options.enable_mem_pattern = False  # as its documentation demands
    return options


def reason(error: Exception) -> str:
    """What onnxruntime says, without its codes: the first line, not a page."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error)) or type(error).__name__
    return text.splitlines()[0][:300].rstrip(". ")
