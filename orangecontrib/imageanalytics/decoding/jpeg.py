"""JPEG: decoded at reduced scale, and refused when libjpeg has anything to complain about.

Pillow drops libjpeg's warnings: a JPEG cut in half, with an end marker put behind, comes out of
it with its lower half grey. simplejpeg, which wraps libjpeg-turbo too, reports them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image

from orangecontrib.imageanalytics.decoding.formats import Unreadable
from orangecontrib.imageanalytics.outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_SOS, _EOI, _APP0, _APP14 = 0xDA, 0xD9, 0xE0, 0xEE
#: Start of frame; DHT (C4), JPG (C8) and DAC (CC) lie among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
#: Baseline, extended and progressive, with Huffman or arithmetic coding: what libjpeg-turbo reads.
_READABLE = frozenset({0xC0, 0xC1, 0xC9}) | _PROGRESSIVE

#: Scans that a JPEG may have. Each is a pass over all pixels, which 30 bytes can ask for: 1000 of
#: them took 14 s for 4 megapixels. Encoders make 10 or so.
_SCANS = 100

#: In entropy-coded data, 0xFF is followed by 0 or by a restart marker; anything else ends the data.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


#: The scales, in eighths, for which libjpeg-turbo has vector instructions. At 3/8 it takes a third
#: longer than at 4/8.
_FAST_SCALES = (1, 2, 4, 8)


@dataclass(slots=True)
class Header:
    """How a JPEG is coded.

    Attributes
    ----------
    kind : int
        The second byte of the marker that starts the frame.
    precision : int
        Bits per sample.
    height, width : int
        In pixels.
    sampling : dict of int to int
        Samples per block of pixels (horizontal times vertical sampling factor) by component.
    known : dict of int to int
        By component, the bits of the coefficients that the scans give in full precision.
    interleaved : bool
        Whether the first scan holds all components.
    scans : int
        How many scans there are, as far as they were counted.
    """

    kind: int
    precision: int
    height: int
    width: int
    sampling: dict[int, int]
    known: dict[int, int] = field(default_factory=dict)
    interleaved: bool = True
    scans: int = 0

    @property
    def is_buffered(self) -> bool:
        """Whether libjpeg must keep all coefficients: several scans contribute to each block."""
        return self.kind in _PROGRESSIVE or not self.interleaved

    @property
    def is_whole(self) -> bool:
        """Whether there are scans for every bit of every coefficient of every component."""
        return all(self.known.get(component) == 2**64 - 1 for component in self.sampling)

    @property
    def buffered_bytes(self) -> int:
        """The coefficients' size in memory: two bytes for each sample, before any scaling."""
        if not self.is_buffered:
            return 0
        densest = max(self.sampling.values())
        return 2 * self.height * self.width * sum(self.sampling.values()) // max(densest, 1)

    @property
    def unsupported(self) -> str:
        """What of it libjpeg-turbo's 8-bit interface does not read; empty if nothing."""
        if self.precision != 8:
            return f"this JPEG has {self.precision} bits per channel, not 8"
        if self.kind not in _READABLE:
            return "this JPEG is of a rare kind (lossless or hierarchical)"
        if len(self.sampling) not in (1, 3, 4):
            return f"this JPEG has {len(self.sampling)} colour channels"
        if self.scans > _SCANS:
            return f"this JPEG has more than {_SCANS} scans, which would take long to decode"
        return ""


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each segment's marker and where its content starts and ends, up to the end marker."""
    at = 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0x00, 0xFF):
            at += 1
        elif marker == _EOI:
            return
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            yield marker, at + 4, end
            at = end
            if marker == _SOS:
                following = _NEXT_MARKER.search(data, at)
                at = following.start() if following else len(data)


def header(data: bytes) -> Header | None:
    """Read how a JPEG is coded; None if that cannot be found out."""
    found: Header | None = None
    for marker, start, end in _segments(data):
        content = data[start:end]
        if marker in _FRAMES and found is None:
            if len(content) < 6 or len(content) < 6 + 3 * content[5]:
                return None
            found = Header(
                kind=marker,
                precision=content[0],
                height=int.from_bytes(content[1:3], "big"),
                width=int.from_bytes(content[3:5], "big"),
                sampling={
                    content[at]: (content[at + 1] >> 4) * (content[at + 1] & 15)
                    for at in range(6, 6 + 3 * content[5], 3)
                },
            )
        elif marker == _SOS and found is not None:
            if not content or len(content) < 4 + 2 * content[0]:
                return None
            _add_scan(found, content)
            is_done = found.is_whole and not found.is_buffered  # libjpeg reads no more either
            if is_done or found.scans > _SCANS:
                break
    return found


def _add_scan(found: Header, content: bytes) -> None:
    found.scans += 1
    components = content[1 : 1 + 2 * content[0] : 2]
    first, last, precision = content[1 + 2 * content[0] : 4 + 2 * content[0]]
    if found.kind not in _PROGRESSIVE:  # these fields mean nothing there, and are wrong in some
        first, last, precision = 0, 63, 0
    if not found.known:
        found.interleaved = len(components) == len(found.sampling)
    for component in components:
        known = found.known.get(component, 0)
        if precision & 15 == 0:
            known |= (2 ** (last + 1) - 1) & -(2**first)
        found.known[component] = known & (2**64 - 1)


def scale(size: tuple[int, int], least: tuple[int, int]) -> int:
    """Choose the scale at which a JPEG is decoded, in eighths.

    Parameters
    ----------
    size : tuple of int
        Its height and width in pixels.
    least : tuple of int
        Height and width in pixels that the result must have, unless the picture is smaller.
    """
    for eighths in _FAST_SCALES:
        if all(have * eighths >= 8 * want for have, want in zip(size, least, strict=True)):
            return eighths
    return _FAST_SCALES[-1]


def scaled(size: tuple[int, int], eighths: int) -> tuple[int, int]:
    """Give height and width in pixels of what libjpeg makes of a picture of this size."""
    return -(-size[0] * eighths // 8), -(-size[1] * eighths // 8)


def decode(data: bytes, header: Header, mode: str, eighths: int) -> NDArray[np.uint8]:
    """Decode a JPEG at reduced scale.

    Parameters
    ----------
    data : bytes
        The whole file.
    header : Header
        How it is coded.
    mode : str
        Pillow's mode of the picture: "L", "RGB" or "CMYK".
    eighths : int
        The scale: 1, 2, 4 or 8.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3), uint8
        Grey or RGB, of the size that `scaled` gives.

    Raises
    ------
    Unreadable
        If a part is missing, or if libjpeg reports an error or a warning, save for warnings that
        are known to be harmless.
    """
    if not header.is_whole:
        raise Unreadable(Reason.DAMAGED, "the JPEG ends early: some of its scans are missing")
    size = scaled((header.height, header.width), eighths)
    pixels = _decoded(data, {"L": "GRAY"}.get(mode, mode), size if eighths < 8 else (0, 0))
    if mode == "CMYK":
        height, width = pixels.shape[:2]
        # Adobe's programs, which write nearly all CMYK JPEGs, write them inverted.
        image = Image.frombuffer("CMYK", (width, height), pixels, "raw", "CMYK;I", 0, 1)
        return np.array(image.convert("RGB"))
    return pixels[:, :, 0] if mode == "L" else pixels


def _decoded(data: bytes, colours: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    cures = dict(_CURES)
    while True:
        try:
            return simplejpeg.decode_jpeg(
                data, colours, min_height=size[0], min_width=size[1], strict=True
            )
        except ValueError as error:
            complaint = next((text for text in cures if text in str(error)), None)
            if complaint is None:
                raise Unreadable(Reason.DAMAGED, str(error)) from error  # which names the format
            data = cures.pop(complaint)(data)


def _with_end(data: bytes) -> bytes:
    """Put the missing end marker: libjpeg then says whether anything else is missing, too."""
    return data + b"\xff\xd9"


def _with_known_version(data: bytes) -> bytes:
    for marker, start, _ in _segments(data):
        if marker == _APP0 and data[start : start + 5] == b"JFIF\0":
            return data[: start + 5] + b"\x01\x01" + data[start + 7 :]
    return data


def _with_known_transform(data: bytes) -> bytes:
    for marker, start, _ in _segments(data):
        if marker == _APP14 and data[start : start + 5] == b"Adobe":
            found = header(data)
            transform = 2 if found and len(found.sampling) == 4 else 1
            return data[: start + 11] + bytes([transform]) + data[start + 12 :]
    return data


def _with_usual_parameters(data: bytes) -> bytes:
    for marker, _, end in _segments(data):
        if marker == _SOS:
            return data[: end - 3] + b"\x00\x3f\x00" + data[end:]
    return data


def _without_padding(data: bytes) -> bytes:
    """Remove a run of one repeated byte before the end marker, which no coded picture ends in."""
    return re.sub(rb"(?s)(.)\1{5,}\xff\xd9", b"\xff\xd9", data, count=1)


#: What libjpeg says (jerror.h) of things that every viewer passes over, and their cures. They are
#: cured, not ignored, because libjpeg may have more to complain about.
_CURES: dict[str, Callable[[bytes], bytes]] = {
    "Premature end of JPEG file": _with_end,
    "unknown JFIF revision number": _with_known_version,
    "Unknown Adobe color transform code": _with_known_transform,
    "Invalid SOS parameters for sequential JPEG": _with_usual_parameters,
    "extraneous bytes before marker 0xd9": _without_padding,
}
