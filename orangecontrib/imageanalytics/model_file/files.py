"""The files that make up a model, and the fingerprint that tells two versions of it apart.

An ONNX file may keep weights in files beside it, and a JSON file may say how to use it. Where the
weights lie is checked here: onnxruntime 1.18 reads what `../` and links lead to, and crashes on a
location that stands for an address in memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from orangecontrib.imageanalytics.model_file.config import config_path, read_config
from orangecontrib.imageanalytics.model_file.onnx_file import NotOnnx, OnnxFile, read_onnx
from orangecontrib.imageanalytics.outcome import ModelFileError

#: Path, size in bytes, and times in ns of the last changes of content and of anything else.
FileState = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """An ONNX file that has been looked at, with the weights beside it.

    Attributes
    ----------
    path : Path
        The ONNX file, absolute.
    content : OnnxFile
        What it says of itself.
    """

    path: Path
    content: OnnxFile

    @classmethod
    def of(cls, path: Path) -> ModelFiles:
        """Look at an ONNX file.

        It is read once as long as its size and times stay (15 ms for 13 MB).

        Raises
        ------
        ModelFileError
            If it is missing or broken, or weights that belong to it are missing or elsewhere.
        """
        path = path.absolute()
        try:
            if not path.is_file():
                fault = "is not a file" if path.exists() else "is not there"
                raise ModelFileError(f"The model file {path} {fault}.")
            files = cls(path, _read(_state(path)))
        except NotOnnx as error:
            raise ModelFileError(f"{path} {error}. Copy or export it once more.") from error
        except OSError as error:
            raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
        for location in files.content.external:
            _check_location(path, location)
        return files

    @property
    def state(self) -> tuple[FileState, ...]:
        """Sizes and times of all the files: as long as these stay, so does what they hold.

        Raises
        ------
        ModelFileError
            If one of them cannot be looked at.
        """
        config = config_path(self.path)
        return (*self._weights(), *([_state(config)] if config.exists() else []))

    def fingerprint(self) -> str:
        """What an embedding depends on: the weights, and what the config says of the numbers.

        Returns
        -------
        str
            SHA-256 in hexadecimal digits. Files whose size and times are as before are not read
            again in the same process.

        Raises
        ------
        ModelFileError
            If a file cannot be read or the config not understood.
        """
        digest = hashlib.sha256()
        for state in self._weights():
            digest.update(_digest(state))
        digest.update(read_config(config_path(self.path)).numbers.encode())
        return digest.hexdigest()

    def _weights(self) -> tuple[FileState, ...]:
        beside = (self.path.parent / location for location in self.content.external)
        return tuple(_state(file) for file in (self.path, *beside))


def _check_location(path: Path, location: str) -> None:
    """Refuse weights that are not in a file in the model's own folder."""
    folder = path.parent.resolve()
    try:
        file = (folder / location).resolve()
        inside = bool(location) and file.is_relative_to(folder) and "*" not in location
        found = file.is_file()
    except (OSError, ValueError):
        inside = found = False
    if not inside or Path(location).is_absolute():
        raise ModelFileError(
            f"{path} keeps weights in {location!r}, which is not in the model's own folder. "
            "Put the weights' file itself, not a link, beside the model and export it once more."
        )
    if not found:
        raise ModelFileError(
            f"{path} keeps weights in {location!r}, which is missing. Put this file beside it."
        )


def _state(file: Path) -> FileState:
    try:
        state = file.stat()
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror or error}.") from error
    return str(file), state.st_size, state.st_mtime_ns, state.st_ctime_ns


@lru_cache(maxsize=256)
def _read(state: FileState) -> OnnxFile:
    return read_onnx(Path(state[0]))


@lru_cache(maxsize=256)
def _digest(state: FileState) -> bytes:
    try:
        with open(state[0], "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ModelFileError(f"{state[0]} cannot be read: {error.strerror or error}.") from error
