"""Which copies of pictures are found, and what is taken for a copy and is none.

Each photo is recompressed, scaled, converted, cropped, made grey and mirrored; the untouched other
photos are the hard negatives, as many are of the same class. All copies are compared with all
photos and each other. The photos are laid on white first: not all formats know transparency.

With several folders (``--photos stamps pages plots``) each is a set of its own, so that pictures on
which nothing was chosen are reported apart.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.figure import Figure
from benchmarks.program import ROOT, Scope, run, say
from orangecontrib.imageanalytics import duplicates
from orangecontrib.imageanalytics.cache import Cache
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.similarity import Pairs, pairs_within

_CROP = 0.03

Picture = Image.Image
Change = tuple[str, Callable[[Picture], Picture], dict[str, int | bool]]


def _scaled(picture: Picture) -> Picture:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def _cropped(picture: Picture) -> Picture:
    """Take off 3 % of the width and of the height, half of it at each side."""
    width, height = picture.size
    left, top = round(width * _CROP / 2), round(height * _CROP / 2)
    return picture.crop((left, top, width - left, height - top))


def _cropped_at_a_corner(picture: Picture) -> Picture:
    left, top = round(picture.width * _CROP), round(picture.height * _CROP)
    return picture.crop((left, top, picture.width, picture.height))


#: The file's ending, what is done to the picture, and how it is saved.
CHANGES: dict[str, Change] = {
    "recompressed at quality 60": (".jpg", lambda picture: picture, {"quality": 60}),
    "scaled to 50 %": (".jpg", _scaled, {"quality": 90}),
    "saved as PNG": (".png", lambda picture: picture, {}),
    "saved as WebP, lossless": (".webp", lambda picture: picture, {"lossless": True}),
    "saved as WebP, quality 80": (".webp", lambda picture: picture, {"quality": 80}),
    "cropped by 3 %": (".jpg", _cropped, {"quality": 90}),
    "cropped by 3 % at a corner": (".jpg", _cropped_at_a_corner, {"quality": 90}),
    "turned to grey": (".jpg", lambda picture: picture.convert("L"), {"quality": 90}),
    "mirrored": (".jpg", ImageOps.mirror, {"quality": 90}),
}
#: Those that an aim is set for.
CONVERTED = list(CHANGES)[:5]
#: Those whose pixels are the very same.
LOSSLESS = {"saved as PNG", "saved as WebP, lossless"}


def measure(scope: Scope) -> list[Figure]:
    """Make the sets, find near copies, and compare with the bundled network's embedding."""
    folders = [scope.photos or ROOT / "examples" / "photos", *scope.more]
    figures = []
    for folder in folders:
        photos = _photos(folder)[: 10 if scope.quick else None]
        figures += _of_set(photos, f"{folder.name}: " if len(folders) > 1 else "")
    return figures


def _of_set(photos: list[Picture], name: str) -> list[Figure]:
    with tempfile.TemporaryDirectory() as place:
        say(f"duplicates: {name}{len(photos)} photos, {len(CHANGES)} copies of each")
        kinds, sources, paths = _write_set(photos, Path(place))
        cache = Cache(Path(place) / "cache")
        figures = list(_figures(duplicates.find(paths, cache=cache), kinds, sources))
        say("duplicates: SqueezeNet's embeddings, for comparison")
        with ImageEmbedder("squeezenet", cache=cache) as embedder:
            vectors = np.array(embedder(paths))
        cache.close()
        figures += _of_embedding(vectors, kinds, sources)
    return [replace(figure, question=name + figure.question) for figure in figures]


def _photos(folder: Path) -> list[Picture]:
    """Read all photos that differ, on white."""
    found: dict[bytes, Picture] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
            continue
        picture = Image.open(path).convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        ground.alpha_composite(picture)
        opaque = ground.convert("RGB")
        found.setdefault(hashlib.sha256(opaque.tobytes()).digest(), opaque)
    return list(found.values())


def _write_set(
    photos: list[Picture], folder: Path
) -> tuple[list[str], NDArray[np.intp], list[str]]:
    """Give each file's kind ("" for a photo itself), which photo it is of, and its path."""
    kinds, sources, paths = [], [], []
    for index, photo in enumerate(photos):
        for number, (kind, (ending, change, how)) in enumerate(
            {"": (".bmp", lambda picture: picture, {}), **CHANGES}.items()
        ):
            path = folder / f"{index:04} {number}{ending}"
            change(photo).save(path, **how)
            kinds.append(kind)
            sources.append(index)
            paths.append(str(path))
    return kinds, np.array(sources), paths


def _figures(
    found: duplicates.Duplicates, kinds: list[str], sources: NDArray[np.intp]
) -> Iterator[Figure]:
    labels = found.tree.labels(duplicates.NEAR_COPY)
    yield Figure(
        "near copies: precision of all pairs in groups",
        100 * _precision(labels, sources),
        "%",
        at_least=99,
        note=f"{len(set(labels) - {-1})} groups of {len(labels)} files",
    )
    for kind in CHANGES:
        share = _recall(labels, kinds, sources, kind)
        aim = 95 if kind in CONVERTED else None
        yield Figure(f"near copies: recall of {kind}", 100 * share, "%", at_least=aim)
    exact = found.tree.labels(0)
    yield Figure("exact copies: precision", 100 * _precision(exact, sources), "%", at_least=99)
    for kind in sorted(LOSSLESS):
        share = _recall(exact, kinds, sources, kind)
        yield Figure(f"exact copies: recall of {kind}", 100 * share, "%", at_least=95)


def _precision(labels: NDArray[np.intp], sources: NDArray[np.intp]) -> float:
    """The share of pairs in a group that are of the same photo."""
    right = total = 0
    for label in set(labels.tolist()) - {-1}:
        sizes = np.bincount(sources[labels == label])
        right += int((sizes * (sizes - 1)).sum()) // 2
        total += int(sizes.sum() * (sizes.sum() - 1)) // 2
    return right / max(1, total)


def _recall(
    labels: NDArray[np.intp], kinds: list[str], sources: NDArray[np.intp], kind: str
) -> float:
    """The share of copies that are in a group with their photo."""
    photo = {source: labels[i] for i, source in enumerate(sources) if not kinds[i]}
    copies = [i for i, other in enumerate(kinds) if other == kind]
    return float(np.mean([labels[i] >= 0 and labels[i] == photo[sources[i]] for i in copies]))


def _of_embedding(
    vectors: NDArray[np.float32], kinds: list[str], sources: NDArray[np.intp]
) -> Iterator[Figure]:
    """What a distance of embeddings finds that takes no other photo for a copy, or few."""
    pairs = pairs_within(vectors, 0.1)
    is_right = sources[pairs.first] == sources[pairs.second]
    asked = np.isin(kinds, ["", *CONVERTED])
    asked = asked[pairs.first] & asked[pairs.second]
    for aim in (1.0, 0.99):
        distance = _calibrated(pairs, is_right, asked, aim)
        near = pairs.within(distance)
        found = set(zip(near.first.tolist(), near.second.tolist(), strict=True))
        photo = {source: i for i, source in enumerate(sources) if not kinds[i]}
        copies = [i for i, kind in enumerate(kinds) if kind in CONVERTED]
        share = np.mean([(photo[sources[i]], i) in found for i in copies])
        yield Figure(
            f"for comparison, SqueezeNet's embedding at a precision of {aim}: recall of converted",
            100 * float(share),
            "%",
            note=f"cosine distance {distance:.4f}",
        )


def _calibrated(
    pairs: Pairs, is_right: NDArray[np.bool_], asked: NDArray[np.bool_], precision: float
) -> float:
    """The largest distance at which the precision is still reached."""
    order = np.flatnonzero(asked)[np.argsort(pairs.distances[asked], kind="stable")]
    share = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    fine = np.flatnonzero(share >= precision)
    return float(pairs.distances[order[fine[-1]]]) if len(fine) else 0.0


if __name__ == "__main__":
    run(measure)
