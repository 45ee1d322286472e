"""What bytes are: which formats are not decoded here, and what other content is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.outcome import Reason, Skipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image


class Unreadable(Exception):
    """An image that cannot be decoded.

    Attributes
    ----------
    skipped : Skipped
        What is to become of it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.skipped = Skipped(reason, detail)


_EXPORT = "export it as PNG or JPEG"
RAW = f"a camera's raw file; {_EXPORT}"

#: How the formats that are read begin.
_DECODED = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"\0\0\1\0": "ICO",
    b"8BPS": "PSD",
    b"DDS ": "DDS",
    b"qoif": "QOI",
    b"SIMPLE  =": "FITS",
    b"\x01\xda": "SGI",
    b"/* XPM */": "XPM",
}

#: Formats that are not read: Pillow only knows them by name, hands them to other programs
#: (Ghostscript, Windows' GDI), or opens whatever is wrapped in them.
_UNSUPPORTED = {
    b"%!PS": f"a drawing (PostScript or EPS); {_EXPORT}",
    b"\xc5\xd0\xd3\xc6": f"a drawing (EPS); {_EXPORT}",
    b"icns": f"an icon of macOS (ICNS); {_EXPORT}",
    b"BLP1": f"a game's picture (BLP); {_EXPORT}",
    b"BLP2": f"a game's picture (BLP); {_EXPORT}",
    b"BUFR": f"a file of weather data (BUFR); {_EXPORT}",
    b"GRIB": f"a file of weather data (GRIB); {_EXPORT}",
    b"\x89HDF\r\n\x1a\n": f"a file of arrays (HDF5); {_EXPORT}",
    b"\0\0\1\xb3": f"an MPEG video; {_EXPORT}",
    b"\xff\x0a": f"a JPEG XL image; {_EXPORT}",
    b"\0\0\0\x0cJXL": f"a JPEG XL image; {_EXPORT}",
    b"AT&TFORM": f"a DjVu document; {_EXPORT}",
    b"gimp xcf": f"a GIMP project; {_EXPORT}",
    b"\x76\x2f\x31\x01": "an OpenEXR image; export it as TIFF or PNG",
    b"#?RADIANCE": "a Radiance HDR image; export it as TIFF or PNG",
    b"II*\0\x10\0\0\0CR": RAW,  # Canon's CR2
    b"\xd7\xcd\xc6\x9a": f"a drawing (WMF); {_EXPORT}",
    b"FUJIFILMCCD-RAW": RAW,
    b"IIRO": RAW,
    b"IIRS": RAW,
    b"IIU\0": RAW,
    b"FOVb": RAW,
    b"\0MRM": RAW,
}

_OTHER = {
    b"%PDF": "a PDF document",
    b"PK\3\4": "a ZIP archive or an office document",
    b"PK\5\6": "an empty ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old office document or a list of thumbnails",
    b"\0\5\x16\7": "macOS's notes on another file",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with 'git lfs pull'",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"MZ": "a Windows program",
    b"\x1a\x45\xdf\xa3": "a video",
    b"ID3": "a sound file",
    b"OggS": "a sound or video file",
    b"fLaC": "a sound file",
    b"SQLite format 3": "an SQLite database",
    b"\x93NUMPY": "a NumPy array",
}

#: In what Pillow says of headers that are whole, but ask for something that it cannot do.
_OF_A_KIND = (
    "nsupported",
    "not supported",
    "support not",
    "not installed",
    "unknown pixel mode",
    "cannot handle",
)

_TEXT = frozenset(range(32, 256)) | frozenset(b"\t\n\r\f\x1b")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def signature(data: bytes) -> str:
    """Name the format that content begins like, of those that are read; empty if it is none."""
    brands = _brands(data)
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if re.match(rb"P[1-7]\s+[#\dW]|P[Ff]\s+\d", data):
        return "PPM"
    return next((name for begin, name in _DECODED.items() if data.startswith(begin)), "")


def not_decoded(data: bytes) -> Skipped | None:
    """Find out by its first bytes whether content is surely nothing that is read."""
    if not data:
        return Skipped(Reason.NOT_AN_IMAGE, "the file is empty")
    for begin, name in _UNSUPPORTED.items():
        if data.startswith(begin):
            return Skipped(Reason.UNSUPPORTED, name)
    if data[:4] == b"\1\0\0\0" and data[40:44] == b" EMF":
        return Skipped(Reason.UNSUPPORTED, f"a drawing (EMF); {_EXPORT}")
    brands = _brands(data)
    if b"crx " in brands:
        return Skipped(Reason.UNSUPPORTED, RAW)
    if brands and not signature(data):
        return Skipped(Reason.NOT_AN_IMAGE, "the content is a video or a sound file")
    for begin, name in _OTHER.items():
        if data.startswith(begin):
            return Skipped(Reason.NOT_AN_IMAGE, f"the content is {name}")
    start = data[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<"):
        if b"<svg" in data[:4000].lower() and not start.startswith(b"<!doctype html"):
            return Skipped(Reason.UNSUPPORTED, f"a drawing (SVG); {_EXPORT}")
        if b"<html" in start or b"<!doctype html" in start:
            return Skipped(Reason.NOT_AN_IMAGE, "the content is an HTML page")
    return None


def unidentified(data: bytes, error: str) -> Skipped:
    """Describe content that cannot be opened; `error` is what Pillow says of the header."""
    name = signature(data)
    if name in ("", "BMP") and set(data[:1000]) <= _TEXT:
        return Skipped(Reason.NOT_AN_IMAGE, "the content is text")
    if name == "PSD" or any(word in error for word in _OF_A_KIND):
        return Skipped(Reason.UNSUPPORTED, f"of a kind of {name} that cannot be read: {error}")
    if name:
        return Skipped(Reason.DAMAGED, f"the header of the {name} image cannot be read: {error}")
    return Skipped(Reason.NOT_AN_IMAGE, "the content is of no known image format")


def _brands(data: bytes) -> frozenset[bytes]:
    """Read the brands of an ISO base media file (ISO 14496-12), such as HEIC, AVIF and MP4."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), 200, len(data))
    return frozenset(data[at : at + 4] for at in (8, *range(16, end - 3, 4)))


def tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """Give the first directory's tags of an image that was opened as a TIFF, else none."""
    return getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}


def is_camera_raw(image: Image.Image) -> bool:
    """Whether a TIFF's first picture is but the preview of a camera's data (DNG, NEF, ARW...)."""
    dng_version, subfile_type, sub_directories = 50706, 254, 330
    tags = tiff_tags(image)
    is_preview = bool(tags.get(subfile_type, 0) & 1)
    return dng_version in tags or (is_preview and sub_directories in tags)
