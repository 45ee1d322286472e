"""Which way up a picture is to be seen, by its EXIF orientation: known here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ExifTags, Image

if TYPE_CHECKING:
    from collections.abc import Callable

#: How a picture that is stored with this orientation (EXIF 2.32, tag 0x0112) is turned upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 (upright) to 8.

    To be read after loading: a PNG may have it behind the pixels, and a TIFF is turned by Pillow.
    """
    return _known(image.getexif)


def orientation_in_header(image: Image.Image) -> int:
    """Read the EXIF orientation, as far as the header tells it, and decode nothing.

    A PNG's own getexif() decodes the picture, since an eXIf chunk may stand behind it.
    """
    return _known(lambda: Image.Image.getexif(image))


def is_lying(turn: int) -> bool:
    """Whether width and height are exchanged when a picture is turned upright."""
    return turn >= 5


def before_turning(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """Give the height and width that become `size` when turned upright."""
    return (size[1], size[0]) if is_lying(turn) else size


def turned(picture: Image.Image, turn: int) -> Image.Image:
    """Turn a picture upright."""
    return picture.transpose(_TURNS[turn]) if turn in _TURNS else picture


def _known(read: Callable[[], Image.Exif]) -> int:
    try:
        value = read().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata; viewers then show the image as it is stored
        return 1
    return value if value in _TURNS else 1
