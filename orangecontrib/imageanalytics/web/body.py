"""The body of an answer, received and unpacked by bounded pieces.

httpx unpacks each piece that it receives as a whole: 2 kB that were packed twice took 4 GB before
anybody could count them. We ask for no compression, but some servers store files packed and send
them so to everybody.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

#: What is understood, with zlib's `wbits`; all the others are refused, those in several layers too.
_CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class CannotUnpack(Exception):
    """The body is packed in a way that is not understood; the text says what the server did."""


async def read_body(response: httpx.Response, limit: int) -> bytes | None:
    """Receive the body of an answer.

    Parameters
    ----------
    response : httpx.Response
        Of which nothing has been read.
    limit : int
        The most bytes that it may have, after unpacking; no more are held in memory.

    Returns
    -------
    bytes or None
        None if there are more, or more are announced.

    Raises
    ------
    CannotUnpack
        If it is compressed otherwise than once, by gzip or deflate, or the compression is broken.
    httpx.RequestError
        If the connection fails.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return await _plain(response, limit)
    if coding not in _CODINGS:
        raise CannotUnpack(f"sent it compressed, as {coding[:50]!r}, unasked")
    packed = await _plain(response, limit)
    if packed is None:
        return None
    # in a thread: 256 MB take half a second, in which nothing else would be received
    return await asyncio.to_thread(_unpacked, packed, _CODINGS[coding], limit)


async def _plain(response: httpx.Response, limit: int) -> bytes | None:
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        return None
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)


def _unpacked(packed: bytes, wbits: int, limit: int) -> bytes | None:
    if wbits == 15 and packed[:1] != b"\x78":  # "deflate" without zlib's frame, as some send it
        wbits = -15
    stream = zlib.decompressobj(wbits)
    try:
        body = stream.decompress(packed, limit + 1)
    except zlib.error as error:
        raise CannotUnpack("sent a broken compression") from error
    if len(body) > limit:
        return None
    if not stream.eof:
        raise CannotUnpack("sent a broken compression")
    return body
