"""A picture of any mode to RGB pixels of a model's size, as a person sees it.

It is reduced first: laying it on white and turning it upright then have little to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageChops

from orangecontrib.imageanalytics.decoding import contrast

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Cheap box reduction goes down to this multiple of the target, the Lanczos filter from there.
_REDUCING_GAP = 2.0

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
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata; viewers then show the image as it is stored
        return 1
    return value if value in _TURNS else 1


def before_turning(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """Give the height and width that become `size` when turned upright."""
    return (size[1], size[0]) if turn >= 5 else size


def squash(image: Image.Image, size: tuple[int, int], turn: int) -> NDArray[np.uint8]:
    """Lay on white, resize with a Lanczos filter and turn upright.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode; it is not changed.
    size : tuple of int
        Height and width of the result.
    turn : int
        The EXIF orientation.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        RGB.
    """
    height, width = before_turning(size, turn)
    picture = _resized(image, (width, height)).convert("RGB")
    if turn in _TURNS:
        picture = picture.transpose(_TURNS[turn])
    return np.array(picture)


def is_transparent(image: Image.Image) -> bool:
    """Whether some pixels may be transparent, by an alpha channel or by their colour."""
    return image.mode in ("1", "L", "P", "PA", "RGB", "LA", "La", "RGBA", "RGBa") and (
        image.has_transparency_data
    )


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize to mode "L" or "RGB"."""
    if contrast.is_deep(image.mode):
        return _resized_deep(image, size)
    if image.mode == "LAB":
        return _from_lab(_lanczos(image, size))
    if is_transparent(image):
        if image.mode not in ("LA", "La", "RGBA", "RGBa"):
            image = image.convert("RGBA")
        image = _on_white(image.convert("La" if image.mode in ("LA", "La") else "RGBa"), size)
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return _lanczos(image, size)


def _resized_deep(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    values, black, white = contrast.to_float(image)
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey = contrast.to_grey(values, black, white)
        opaque = Image.fromarray(np.uint8(255) * (np.asarray(values) != key))
        return _lanczos(_on_white(Image.merge("LA", (grey, opaque)).convert("La"), size), size)
    grey = contrast.to_grey(_lanczos(values, size), black, white)
    return ImageChops.invert(grey) if contrast.is_negative(image) else grey


def _lanczos(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)


def _on_white(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Lay a picture with premultiplied colours on white, reducing one much larger than `size`.

    The cheap reduction averages, as it would after compositing. The Lanczos filter comes after:
    it overshoots at edges, and applied to colours and transparency apart it makes SqueezeNet's
    accuracy on small cut-outs 1 % lower (0.767 against 0.779, the mean of six splits).
    """
    across, down = (
        max(1, int(have / want / _REDUCING_GAP))
        for have, want in zip(image.size, size, strict=True)
    )
    if across > 1 or down > 1:
        image = image.reduce((across, down))
    *colours, alpha = image.split()
    rest = ImageChops.invert(alpha)
    composed = [ImageChops.add(colour, rest) for colour in colours]
    return composed[0] if len(composed) == 1 else Image.merge("RGB", composed)


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = (ImageCms.ImageCmsProfile(ImageCms.createProfile(name)) for name in ("LAB", "sRGB"))
    return ImageCms.ImageCmsTransform(lab, srgb, "LAB", "RGB").apply(image)
