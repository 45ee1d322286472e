"""The formats that pictures are saved in, and the job that encodes them.

The job runs in worker processes: nothing here imports Orange, Qt or httpx.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.decoding.fit import Fit, Within
from orangecontrib.imageanalytics.outcome import Reason, Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AS_IT_IS", "FORMATS", "FULL_SIZE", "EncodeJob", "Encoded", "Format"]

#: The format of a picture that keeps its own.
AS_IT_IS = "original"

#: The largest side that any format allows: nothing is scaled down to it.
FULL_SIZE = Within(2**31 - 1)

#: An icon's largest side, in pixels.
_ICON = 256


@dataclass(frozen=True, slots=True)
class Format:
    """A format that pictures are saved in.

    Attributes
    ----------
    key : str
        Its name in settings and scripts.
    title : str
        Its name for people.
    codec : str
        What Pillow calls it.
    signatures : tuple of str
        What `formats.signature` calls files of it: they are copied where nothing changes.
    keeps_alpha : bool
        Whether it can be transparent; otherwise pictures are laid on white.
    options : dict
        How well it is encoded.
    longest : int, optional
        The longest side that its files can have, in pixels.
    """

    key: str
    title: str
    codec: str
    signatures: tuple[str, ...]
    keeps_alpha: bool = True
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    longest: int | None = None

    @property
    def extension(self) -> str:
        """What names of its files end in."""
        return f".{self.key}"


#: Quality 95 is the most that Pillow recommends for JPEG: more makes files larger, not better.
_LOSSY = {"quality": 95}
#: JPEG_MAX_DIMENSION in libjpeg's jmorecfg.h; Pillow's PDFs hold JPEGs.
_JPEG_SIDE = 65500

#: The formats by key.
FORMATS = {
    format.key: format
    for format in (
        Format("png", "PNG", "PNG", ("PNG",)),
        Format("jpg", "JPEG", "JPEG", ("JPEG",), False, {**_LOSSY, "subsampling": 0}, _JPEG_SIDE),
        # WEBP_MAX_DIMENSION in libwebp's encode.h; a long screenshot has more
        Format("webp", "WebP", "WEBP", ("WEBP",), options=_LOSSY, longest=16383),
        Format("avif", "AVIF", "AVIF", ("AVIF",), options=_LOSSY, longest=65536),  # AV1's own
        # A GIF's pixel is transparent or not: soft edges would become hard ones of a wrong colour.
        Format("gif", "GIF (256 colours)", "GIF", ("GIF",), False, longest=65535),
        Format("tiff", "TIFF", "TIFF", ("TIFF",), options={"compression": "tiff_adobe_deflate"}),
        Format("bmp", "BMP", "BMP", ("BMP",), False),
        Format("ico", "ICO (up to 256 pixels)", "ICO", ("ICO",)),
        Format("pdf", "PDF (one picture each)", "PDF", (), False, _LOSSY, _JPEG_SIDE),
        Format("eps", "EPS", "EPS", (), False),
    )
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as a file.

    Attributes
    ----------
    data : bytes
        The file's content.
    height, width : int
        In pixels.
    """

    data: bytes
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """What the isolated process does: pixels to a file of a format.

    Attributes
    ----------
    format : Format
        The file's.
    fit : Squash or Within
        The picture's size.
    """

    format: Format
    fit: Fit = FULL_SIZE

    def prepare(self) -> None:
        """Encode once, so that the codec is loaded before the first picture comes."""
        self(np.zeros((8, 8, 3), np.uint8))

    def __call__(self, pixels: NDArray[np.uint8], /) -> Encoded | Skipped:
        """Encode pixels, uint8 [h, w, 3] RGB or [h, w, 4] RGBA; or say why that cannot be done.

        An error here would end the whole run.
        """
        height, width = pixels.shape[:2]
        codec, longest = self.format.codec, self.format.longest
        if longest is not None and max(height, width) > longest:
            return Skipped(
                Reason.TOO_LARGE,
                f"it has {width} x {height} pixels, and {codec} can have {longest} a side; choose "
                "PNG, or a smaller size",
            )
        try:
            return self._encoded(pixels)
        except Exception as error:  # codecs raise nearly anything
            told = " ".join(str(error).split()) or type(error).__name__
            return Skipped(Reason.UNSUPPORTED, f"it cannot be written as {codec}: {told}")

    def _encoded(self, pixels: NDArray[np.uint8]) -> Encoded:
        from PIL import Image

        image = Image.fromarray(pixels)
        if image.mode == "RGBA" and not self.format.keeps_alpha:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
        options = self.format.options
        if self.format.codec == "ICO":
            image.thumbnail((_ICON, _ICON))
            options = {"sizes": [image.size]}
        file = io.BytesIO()
        image.save(file, self.format.codec, **options)
        return Encoded(file.getvalue(), image.height, image.width)
