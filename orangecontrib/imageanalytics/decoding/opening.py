"""Bytes to an opened picture: the one place where a plugin of Pillow gets to see a file.

Only the plugins that stand here do. Pillow has 40 more, and tries them all on what it does not
know: its IPTC plugin opens whatever is wrapped in a file, an EPS too, for which Pillow starts
Ghostscript with the file's own program; ICNS and BLP hold pictures of other sizes than they say.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    DdsImagePlugin,
    FitsImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PcxImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    PsdImagePlugin,
    QoiImagePlugin,
    SgiImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    XpmImagePlugin,
)

from orangecontrib.imageanalytics.decoding import formats
from orangecontrib.imageanalytics.decoding.formats import Unreadable
from orangecontrib.imageanalytics.outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

#: The formats that are read, by the name that `formats.signature` gives them, and by what.
_PLUGINS: dict[str, Callable[[IO[bytes], str], ImageFile.ImageFile]] = {
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "DDS": DdsImagePlugin.DdsImageFile,
    "FITS": FitsImagePlugin.FitsImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "ICO": IcoImagePlugin.IcoImageFile,  # of one bitmap that `icon` has looked at
    "JPEG": JpegImagePlugin.JpegImageFile,  # the first picture of an MPO, too
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "PSD": PsdImagePlugin.PsdImageFile,
    "QOI": QoiImagePlugin.QoiImageFile,
    "SGI": SgiImagePlugin.SgiImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "XPM": XpmImagePlugin.XpmImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}

#: Formats without a proper signature: their plugins take much that is something else.
_LOOSE: dict[str, Callable[[IO[bytes], str], ImageFile.ImageFile]] = {
    "PCX": PcxImagePlugin.PcxImageFile,
    "TGA": TgaImagePlugin.TgaImageFile,
}

#: What Pillow calls the formats that are read.
READ = frozenset({*_PLUGINS, *_LOOSE, "HEIF", "MPO"})

#: libtiff decodes fax row by row, 13 µs each however short, and complains of each: a million rows
#: of one pixel took 13 s and wrote 67 MB to standard error.
_FAX_ROWS = 100_000
_COMPRESSION, _FAX = 259, (2, 3, 4, 32771)


def open_image(file: IO[bytes], beginning: bytes) -> ImageFile.ImageFile:
    """Read an image's header, by the plugin for its signature.

    Pillow's limit on pixels is passed by: ours depends on the mode, and a JPEG is not decoded at
    its full size.

    Parameters
    ----------
    file : file
        What `icon.unwrapped` gave, at its start.
    beginning : bytes
        Its first 4000 bytes or more.

    Returns
    -------
    PIL.ImageFile.ImageFile
        Nothing of it is decoded yet, unless it is an icon of at most 256 x 256 pixels.

    Raises
    ------
    Unreadable
        If it is no image, or none that can be read.
    """
    name = formats.signature(beginning)
    try:
        if name == "HEIF":
            return _open_heif(file)
        image = _PLUGINS[name](file, "") if name else _open_loose(file, beginning)
    except Unreadable:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(
            Reason.TOO_LARGE, f"the {name} image is too large: {told(error)}"
        ) from error
    except Exception as error:  # plugins raise nearly anything on hostile files
        problem = formats.unidentified(beginning, told(error))
        raise Unreadable(problem.reason, problem.detail) from error
    if formats.is_camera_raw(image):
        raise Unreadable(Reason.UNSUPPORTED, formats.RAW)
    if formats.tiff_tags(image).get(_COMPRESSION) in _FAX and image.height > _FAX_ROWS:
        raise Unreadable(
            Reason.UNSUPPORTED, f"a fax of {image.height} rows; more than {_FAX_ROWS} are not read"
        )
    return image


def is_doubtful(image: Image.Image) -> bool:
    """Whether an image was opened by a plugin that takes much that is something else."""
    return image.format in _LOOSE


def told(error: Exception) -> str:
    """Give on one line what an error says."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _open_loose(file: IO[bytes], beginning: bytes) -> ImageFile.ImageFile:
    for plugin in _LOOSE.values():
        file.seek(0)
        try:
            return plugin(file, "")
        except (MemoryError, Image.DecompressionBombError):
            raise
        except Exception:  # it is not of this format; most are of none
            continue
    problem = formats.unidentified(beginning, "")
    raise Unreadable(problem.reason, problem.detail)


def _open_heif(file: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header of a HEIC image; pi-heif is used without registering it in Pillow."""
    try:
        from pi_heif import HeifImageFile
    except ImportError as error:
        raise Unreadable(
            Reason.UNSUPPORTED,
            f"a HEIC image, which pi-heif would read; it cannot be loaded here ({error}), install "
            "it anew with pip install --force-reinstall pi-heif",
        ) from error
    return HeifImageFile(file)
