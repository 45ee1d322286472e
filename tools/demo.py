"""Embed a folder of photos and show which are alike: a table, and a picture of the clusters.

python tools/demo.py examples/photos demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import pdist, squareform

from orangecontrib.imageanalytics.image_embedder import Embedded, ImageEmbedder


def main(photos: Path, target: Path) -> None:
    """Print each photo's nearest neighbour and save the dendrogram."""
    paths = sorted(path for path in photos.rglob("*.png"))
    if not paths:
        sys.exit(f"There are no .png photos in {photos}.")
    with ImageEmbedder("squeezenet") as embedder:
        outcomes = list(embedder.outcomes(paths))
    for path, outcome in zip(paths, outcomes, strict=True):
        if not isinstance(outcome, Embedded):
            print(f"{path} was skipped: {outcome}")
    embedded = [(p, o.vector) for p, o in zip(paths, outcomes, strict=True) if hasattr(o, "vector")]
    distances = pdist(np.array([vector for _, vector in embedded]), "cosine")
    kept = [path for path, _ in embedded]
    print_neighbours(kept, squareform(distances))
    target.mkdir(exist_ok=True)
    picture = target / "clusters.png"
    draw_clusters(kept, linkage(distances, "average"), picture)
    print(f"\nThe clusters are drawn in {picture}")


def print_neighbours(paths: list[Path], distances: np.ndarray) -> None:
    """Print a line for each photo: the one most like it, and the cosine distance between them."""
    np.fill_diagonal(distances, np.inf)
    print(f"{'photo':<30}{'most like it':<30}distance")
    for path, row in zip(paths, distances, strict=True):
        nearest = int(row.argmin())
        print(f"{name(path):<30}{name(paths[nearest]):<30}{row[nearest]:.2f}")


def draw_clusters(paths: list[Path], tree: np.ndarray, target: Path) -> None:
    """Draw the hierarchical clustering with the photos at its leaves."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    height = 0.55 * len(paths)
    figure, axes = pyplot.subplots(figsize=(9, height), layout="constrained")
    drawn = dendrogram(tree, orientation="left", ax=axes, labels=[name(p) for p in paths])
    axes.set_xlabel("cosine distance of the embeddings (SqueezeNet, average linkage)")
    axes.tick_params(axis="y", pad=38)
    for place, leaf in enumerate(drawn["leaves"]):
        thumbnail = Image.open(paths[leaf]).convert("RGBA")
        thumbnail.thumbnail((72, 72))
        box = AnnotationBbox(
            OffsetImage(np.asarray(thumbnail), zoom=0.5),
            (0, 10 * place + 5),
            xybox=(20, 0),
            boxcoords="offset points",
            frameon=False,
            annotation_clip=False,
        )
        axes.add_artist(box)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(target, dpi=100)


def name(path: Path) -> str:
    """Give a photo's name for people: its folder and its file."""
    return f"{path.parent.name}/{path.stem}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
