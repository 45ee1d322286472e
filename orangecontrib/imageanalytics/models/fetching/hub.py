"""Fetches a file of a hub, through `huggingface_hub`.

That library knows the hub: addresses, mirrors, tokens, proxies, the offline mode, its cache folder,
which other programs share. What it does not do (in version 2.4) is to go on with what an earlier
process left half-way, and to compare a file's SHA-256; so the bytes are received here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics import __version__
from orangecontrib.imageanalytics.models.fetching.failures import Passing, put_into_words
from orangecontrib.imageanalytics.models.hub_address import address_of, hub_host
from orangecontrib.imageanalytics.outcome import ModelDownloadError

if TYPE_CHECKING:
    from types import ModuleType

    from orangecontrib.imageanalytics.models.model import HubFile

_log = logging.getLogger(__name__)

#: Told how many bytes have arrived, and how many there are.
Tell = Callable[[int, int], object]

#: Bytes that are written at once: small enough that a slow connection shows progress.
_CHUNK = 2**18

#: What we say to the hub that we are.
_LIBRARY = "Orange3-ImageEmbedding"

#: Seconds between two attempts, when something may pass; and how long a hub is waited for that
#: says when it has time.
_PAUSES = (1.0, 2.0, 4.0)
_LONGEST_PAUSE = 20.0

#: A SHA-256 as the hub's ETag of large files, in its LFS.
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(file: HubFile, parts: Path, tell: Tell) -> Path:
    """Fetch a file, or find it in the cache that programs share with the hub's library.

    Parameters
    ----------
    file : HubFile
        Which.
    parts : Path
        Where it goes, and where what arrived of it before may lie.
    tell : callable
        See `Tell`.

    Returns
    -------
    Path
        The file, whole and checked: one of the cache, which is not ours, or one in `parts`.

    Raises
    ------
    ModelDownloadError, EmbeddingConnectionError
        If it cannot be had; the text says why and what to do. What has arrived is kept.
    """
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(
        file.repository, file.path, revision=file.revision
    )
    if isinstance(cached, str) and _is_right(Path(cached), file.sha256):
        return Path(cached)
    arrived = -1
    pauses = iter(_PAUSES)
    while True:
        part = None
        try:
            with _in_words(file):
                source = _Source.of(file)
                part = parts / source.name
                source.receive(part, tell)
            return part
        except Passing as failure:
            now = part.stat().st_size if part is not None and part.exists() else 0
            if now > arrived:
                pauses = iter(_PAUSES)
            arrived = now
            pause = next(pauses, None)
            if failure.after is not None:
                pause = failure.after if failure.after <= _LONGEST_PAUSE and pause else None
            if pause is None:
                raise failure.error from failure
            _log.info("%s; once more in %s s", failure.error, pause)
            time.sleep(pause)


def check_by_hand(path: Path, file: HubFile) -> None:
    """Refuse what somebody has brought by hand if it is not the file that is needed."""
    if not _is_right(path, file.sha256):
        raise ModelDownloadError(
            f"{path} is not the file that {address_of(file)} is (its SHA-256 differs). Bring it "
            "once more, or take it away."
        )


class _Source:
    """Where a file's bytes come from, and what they have to be."""

    def __init__(self, file: HubFile, address: str, headers: dict[str, str], metadata: Any) -> None:
        self._file = file
        self._address = address
        self._headers = headers
        self._size: int | None = metadata.size
        etag = metadata.etag or ""
        self._sha256 = file.sha256 or (etag if _SHA256.fullmatch(etag) else None)
        identity = self._sha256 or f"{file.repository}/{file.path}@{metadata.commit_hash}/{etag}"
        #: Names the content, so that no part is gone on with by another version's bytes.
        self.name = f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.part"

    @classmethod
    def of(cls, file: HubFile) -> _Source:
        """Ask the hub."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import FileMetadataError
        from huggingface_hub.utils import build_hf_headers

        url = hf_hub_url(file.repository, file.path, revision=file.revision)
        headers = dict(build_hf_headers(library_name=_LIBRARY, library_version=__version__))
        metadata = get_hf_file_metadata(url, headers=headers)
        if not metadata.commit_hash or not metadata.etag:
            raise FileMetadataError
        address = metadata.location or url
        if _host(address) != _host(url):  # a store elsewhere gets no token
            headers.pop("authorization", None)
        return cls(file, address, headers, metadata)

    def receive(self, part: Path, tell: Tell) -> None:
        """Receive what is missing of a part, and check the whole."""
        have = part.stat().st_size if part.exists() and self._size is not None else 0
        if self._size is None or have < self._size:
            # what is made of it takes as much once more, before this is deleted
            _check_room(part.parent, 2 * (self._size or 0) - have, self._file)
            self._append(part, have, tell)
        self._check(part)

    def _append(self, part: Path, have: int, tell: Tell) -> None:
        from huggingface_hub import constants, get_session
        from huggingface_hub.utils import hf_raise_for_status

        headers = {**self._headers, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        client = get_session()
        with client.stream("GET", self._address, headers=headers, timeout=timeout) as answer:
            hf_raise_for_status(answer)
            if answer.status_code != 206:
                have = 0
            with _writing(part, self._file), part.open("ab" if have else "wb", 0) as out:
                for chunk in answer.iter_raw(_CHUNK):
                    out.write(chunk)
                    have += len(chunk)
                    tell(have, self._size or 0)

    def _check(self, part: Path) -> None:
        """Compare size and SHA-256; what is wrong is thrown away, as nothing can be made of it."""
        size = part.stat().st_size
        if self._size is not None and size < self._size:
            raise Passing(
                ModelDownloadError(f"{hub_host()} broke off after {size} of {self._size} bytes.")
            )
        if _is_right(part, self._sha256) and size == (self._size or size):
            return
        part.unlink()
        raise ModelDownloadError(
            f"What arrived of {self._file.path} of {self._file.repository} is not what is expected "
            f"(its SHA-256 differs), and was thrown away. Try once more. If it happens again, the "
            f"file on {hub_host()} is another one now, or something changes it on its way: look "
            "for a newer version of this add-on."
        )


@contextlib.contextmanager
def _in_words(file: HubFile) -> Iterator[None]:
    """Turn what the hub's library raises into errors for people."""
    import huggingface_hub

    http = _http_library()
    try:
        yield
    except (http.HTTPError, huggingface_hub.errors.FileMetadataError, ConnectionError) as error:
        raise put_into_words(error, file, http) from error


def _http_library() -> ModuleType:
    """What speaks HTTP there: httpx in version 1, httpx2 in version 2, with the same names."""
    from huggingface_hub import get_session

    return importlib.import_module(type(get_session()).__module__.partition(".")[0])


def _host(address: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(address).netloc


def _is_right(path: Path, sha256: str | None) -> bool:
    """Whether it has this SHA-256; where none is known, all are right."""
    if sha256 is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _check_room(folder: Path, needed: int, file: HubFile) -> None:
    if needed > shutil.disk_usage(folder).free:
        raise no_room(folder, needed, file)


@contextlib.contextmanager
def _writing(part: Path, file: HubFile) -> Iterator[None]:
    """Say of a disk that is full, or of a quota that is reached, what it is."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise no_room(part.parent, 0, file) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise ModelDownloadError(
                f"{part.parent} cannot be written to: {error.strerror}."
            ) from error
        raise


def no_room(folder: Path, needed: int, file: HubFile) -> ModelDownloadError:
    """Say that a disk is full."""
    free = shutil.disk_usage(folder).free
    return ModelDownloadError(
        f"There is not enough room for {file.path} of {file.repository} in {folder}: "
        + (f"{needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free. " if needed else "")
        + "Make room and try again; what has arrived is kept."
    )
