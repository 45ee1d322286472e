"""Copies of a photo: the same picture in other files."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def on_white(path: Path) -> Image.Image:
    picture = Image.open(path).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    return ground.convert("RGB")


def write_copies(photo: Path, folder: Path) -> dict[str, str]:
    """Write a photo and copies of it; give their paths by what they are."""
    picture = on_white(photo)
    width, height = picture.size
    cropped = picture.crop((round(width * 0.01), 0, width, round(height * 0.99)))
    made = {
        "photo": (picture, ".bmp", {}),
        "png": (picture, ".png", {}),
        "tiff": (picture, ".tif", {"compression": "tiff_lzw"}),
        "recompressed": (picture, ".jpg", {"quality": 60}),
        "scaled": (picture.resize((width // 2, height // 2)), ".png", {}),
        "cropped": (cropped, ".jpg", {"quality": 90}),
        "grey": (picture.convert("L"), ".jpg", {"quality": 90}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for kind, (changed, ending, how) in made.items():
        path = folder / f"{photo.stem} {kind}{ending}"
        changed.save(path, **how)
        paths[kind] = str(path)
    return paths
