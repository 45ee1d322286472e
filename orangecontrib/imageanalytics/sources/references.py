"""From a reference (path, URL, data URI, bytes, PIL image, array) to the bytes of an image.

`resolve` says what a reference is; it opens nothing and costs one `stat`, since it runs for
every image in the caller's process. `read_file` reads a file in the worker process, as the file
then is: the two may be minutes apart.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from orangecontrib.imageanalytics.outcome import InputTypeError, Reason, Skipped
from orangecontrib.imageanalytics.sources.regular_file import (
    MAX_FILE_SIZE,
    look,
    read_file,
    shown,
    too_large,
)

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

__all__ = [
    "MAX_FILE_SIZE",
    "Content",
    "LocalFile",
    "Picture",
    "Source",
    "Web",
    "content_hash",
    "file_url_path",
    "picture_hash",
    "read_file",
    "resolve",
    "shown",
    "too_large",
]

# Two characters or more: the drive letter of "C:\x.png" is not a scheme.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file.

    Attributes
    ----------
    path : str
        Its absolute path; bytes of its name that are not text are surrogate-escaped.
    stat : os.stat_result
        Its state when it was looked at.
    """

    path: str
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an image file."""

    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image already decoded, in the memory of this process."""

    image: PIL.Image.Image | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Web:
    """An image at an http or https address."""

    url: str


Source = LocalFile | Content | Picture | Web | Skipped


def resolve(reference: Any, *, limit: int = MAX_FILE_SIZE) -> Source:
    """Say what a reference refers to, without opening it.

    Parameters
    ----------
    reference : str, os.PathLike, bytes, PIL.Image.Image, ndarray or None
        Text is an http or https address, a ``file:`` or ``data:`` URI (RFC 8089, RFC 2397),
        else a path, in which ``~`` is the user's home. Bytes are the content of an image file.
        None, NaN, an empty text and ``?`` mean that there is no image.
    limit : int
        Size in bytes above which a file or content is skipped.

    Returns
    -------
    LocalFile, Content, Picture, Web or Skipped

    Raises
    ------
    InputTypeError
        If the reference is of a type that cannot be an image; nothing else is ever raised.
    """
    if isinstance(reference, str):
        return _from_text(reference, limit)
    if isinstance(reference, os.PathLike):
        return _from_path(os.fsdecode(reference), limit)
    if isinstance(reference, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(reference), "the bytes given", limit)
    if _is_missing(reference):
        return Skipped(Reason.NO_IMAGE)
    if _is_picture(reference):
        return Picture(reference)
    raise InputTypeError(
        "An image can be given as a path (str or Path), an http or https address, a data: URI, "
        "the bytes of an image file, a PIL image, or a uint8 array [H, W], [H, W, 3] or "
        f"[H, W, 4]; not as {type(reference).__module__}.{type(reference).__qualname__}."
    )


def content_hash(data: bytes) -> bytes:
    """Hash the bytes of an image file: what its embeddings are filed under.

    Returns
    -------
    bytes
        The BLAKE3 digest, 32 bytes.
    """
    # On 4 MB: BLAKE3 5900 MB/s, SHA-256 1450 with the CPU's SHA instructions (400 without),
    # BLAKE2b 830. A faster hash that can be forged (xxh3, 30 000) would let somebody craft an
    # image that another one's embedding is found for.
    return blake3(data).digest()


def picture_hash(pixels: NDArray[np.uint8]) -> bytes:
    """Hash an image that was given as pixels, not as a file.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, 3), uint8
        The image as the model gets it.

    Returns
    -------
    bytes
        32 bytes, from another hash function than `content_hash`: no file can be crafted whose
        content is taken for these pixels.
    """
    height, width, _ = pixels.shape
    return hashlib.blake2b(
        pixels.tobytes(),
        digest_size=32,
        person=b"RGB pixels",
        salt=height.to_bytes(8, "little") + width.to_bytes(8, "little"),
    ).digest()


def file_url_path(rest: str, *, windows: bool) -> str | None:
    """Give the path in a file URL, from what follows ``file:``; None if it is of another host.

    ``?`` and ``#`` are taken for parts of the name, as in addresses typed by hand. The standard
    library's url2pathname loses bytes that are not UTF-8 (before Python 3.14), and costs the
    import of urllib.request.
    """
    from urllib.parse import unquote, unquote_to_bytes

    host, path = "", rest
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        path = slash + path
    if not windows:
        name = os.fsdecode(unquote_to_bytes(os.fsencode(path)))
        return name if host in ("", "localhost") else None
    path = unquote(path)
    if re.fullmatch("[A-Za-z][:|]", host):  # file://C:/x
        path = f"{host[0]}:{path}"
    elif host not in ("", "localhost"):  # file://server/share/x
        path = f"//{host}{path}"
    elif re.match("/[A-Za-z][:|]", path):  # file:///C:/x
        path = f"{path[1]}:{path[3:]}"
    return path.replace("/", "\\")


def _is_missing(reference: Any) -> bool:
    if reference is None or (isinstance(reference, float) and reference != reference):
        return True
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(reference, numpy.floating):
        return bool(numpy.isnan(reference))
    return pandas is not None and (reference is pandas.NA or reference is pandas.NaT)


def _is_picture(reference: Any) -> bool:
    # Whoever hands us such an object has imported its module; importing them costs 0.1 s.
    pil, numpy = sys.modules.get("PIL.Image"), sys.modules.get("numpy")
    return (pil is not None and isinstance(reference, pil.Image)) or (
        numpy is not None and isinstance(reference, numpy.ndarray)
    )


def _from_text(text: str, limit: int) -> Source:
    stripped = text.strip()
    if stripped in ("", "?"):
        return Skipped(Reason.NO_IMAGE)
    match = _SCHEME.match(stripped)
    if match is not None:
        scheme, rest = match[1].lower(), stripped[match.end() :]
        if scheme == "data":
            return _from_data_uri(rest, limit)
        if scheme in ("http", "https") and rest.startswith("//"):
            return Web(stripped)
        if scheme == "file" and rest.startswith("/"):
            return _from_file_url(rest, limit)
        if rest.startswith("//"):
            return Skipped(
                Reason.NOT_DOWNLOADED,
                f"of addresses, only http, https, file and data ones are read: {shown(stripped)}",
            )
    found = _from_path(text, limit)
    if stripped != text and isinstance(found, Skipped) and found.reason == Reason.NOT_FOUND:
        return _from_path(stripped, limit)
    return found


def _from_path(path: str, limit: int, *, home: bool = True) -> LocalFile | Skipped:
    found = look(path, home=home, limit=limit)
    return found if isinstance(found, Skipped) else LocalFile(*found)


def _from_file_url(rest: str, limit: int) -> LocalFile | Skipped:
    try:
        path = file_url_path(rest, windows=os.name == "nt")
    except UnicodeEncodeError:
        return Skipped(Reason.NOT_FOUND, f"no file can have this name: file:{shown(rest)}")
    if path is None:
        return Skipped(Reason.NOT_FOUND, f"of a file on another computer: file:{shown(rest)}")
    return _from_path(path, limit, home=False)


def _from_data_uri(rest: str, limit: int) -> Content | Skipped:
    from urllib.parse import unquote_to_bytes

    what = f"data:{rest[:40]}…" if len(rest) > 40 else f"data:{rest}"
    head, comma, body = rest.partition(",")
    if not comma:
        return Skipped(Reason.DAMAGED, f"a data URI without the comma: {shown(what)}")
    data = unquote_to_bytes(body.encode("utf-8", "surrogatepass"))
    if head[-7:].lower() == ";base64":
        # As browsers do, white space and missing padding are forgiven.
        data = b"".join(data.split()).rstrip(b"=")
        try:
            data = binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True)
        except binascii.Error:
            return Skipped(Reason.DAMAGED, f"broken or cut off base64: {shown(what)}")
    return _from_bytes(data, what, limit)


def _from_bytes(data: bytes, what: str, limit: int) -> Content | Skipped:
    if not data:
        return Skipped(Reason.NOT_AN_IMAGE, f"empty: {shown(what)}")
    return Content(data) if len(data) <= limit else too_large(len(data), limit, what)
