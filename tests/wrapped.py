"""Pictures inside of other files: what Pillow's plugins open by themselves, sizes that lie."""

from __future__ import annotations

import struct
import zlib

from tests import awkward

#: PostScript that never ends, and one that draws nothing.
ENDLESS, SHORT = b"{} loop", b"showpage"


def eps(program: bytes) -> bytes:
    """Give a PostScript drawing of 16 x 16 points."""
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\n" + program + b"\n"


def iptc(inside: bytes, size: tuple[int, int] = (16, 16)) -> bytes:
    """Wrap a file in an IPTC record that says it is a JPEG of some size."""

    def field(record: int, dataset: int, content: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, record, dataset, len(content)) + content

    width, height = (struct.pack(">H", side) for side in size)
    return (
        field(3, 60, b"\1\0")
        + field(3, 20, width)
        + field(3, 30, height)
        + field(3, 120, b"\5")
        + b"".join(field(8, 10, inside[at : at + 30_000]) for at in range(0, len(inside), 30_000))
    )


def icon(
    inside: bytes, *others: bytes, sides: tuple[tuple[int, int], ...] = ((64, 64),), bits: int = 32
) -> bytes:
    """Give a Windows icon that says its pictures have these sides."""
    pictures = (inside, *others)
    at = 6 + 16 * len(pictures)
    entries = b""
    for (width, height), picture in zip(sides, pictures, strict=True):
        entries += struct.pack("<BBBBHHII", width, height, 0, 0, 1, bits, len(picture), at)
        at += len(picture)
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + b"".join(pictures)


def bitmap(size: tuple[int, int], *, claimed: tuple[int, int] | None = None) -> bytes:
    """Give the bitmap of an icon, 32 bits a pixel, red and opaque, with an empty mask."""
    width, height = size
    says = claimed or size
    header = struct.pack("<IiiHHIIiiII", 40, says[0], 2 * says[1], 1, 32, 0, 0, 0, 0, 0, 0)
    mask = bytes((width + 31) // 32 * 4 * height)
    return header + b"\0\0\xff\xff" * (width * height) + mask


def icns(inside: bytes) -> bytes:
    """Give a Mac's icon that says it is 512 x 512 pixels."""
    chunk = b"ic09" + struct.pack(">I", len(inside) + 8) + inside
    return b"icns" + struct.pack(">I", len(chunk) + 8) + chunk


def many_scans(scans: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """Give a progressive JPEG whose last scan is there many times."""
    whole = awkward.encoded(awkward.scene().convert("L").resize(size), "JPEG", progressive=True)
    scan, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:end] + whole[scan:end] * scans + whole[end:]


def fax(rows: int) -> bytes:
    """Give a TIFF of so many rows of eight pixels, coded as fax, with noise in place of them."""
    noise = bytes(index * 7919 % 251 for index in range(5000))
    tags = {256: 8, 257: rows, 258: 1, 259: 3, 262: 0, 273: 8, 278: rows, 279: len(noise)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(noise)) + noise + directory


def large_tile(side: int) -> bytes:
    """Give a TIFF of 16 x 16 pixels in one tile that is much larger."""
    packed = zlib.compress(bytes(side * side * 3))
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 2, 277: 3, 284: 1}
    tags |= {322: side, 323: side, 324: 8, 325: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory


def hostile() -> dict[str, bytes]:
    """Name files that must not be opened, or not as large as they really are."""
    large = awkward.png_of(bytes(1000), (13_300, 13_300), 8, 2)
    return {
        "iptc around endless eps": iptc(eps(ENDLESS)),
        "iptc around eps": iptc(eps(SHORT)),
        "iptc around a large png": iptc(large),
        "iptc around iptc": iptc(iptc(eps(SHORT))),
        "icns around a large png": icns(large),
        "eps": eps(ENDLESS),
        "eps with a preview": b"\xc5\xd0\xd3\xc6"
        + struct.pack("<II", 32, 70)
        + bytes(20)
        + eps(ENDLESS),
        "icon around iptc": icon(iptc(eps(SHORT))),
        "icon around a large png": icon(large),
        "icon around a large bitmap": icon(bitmap((8, 8), claimed=(13_300, 13_300))),
        "icon without pictures": icon(b"")[:6],
        "icon cut off": icon(bitmap((64, 64)))[:300],
    }
