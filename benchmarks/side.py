"""What `beside` runs in each version: calls over the photos that it names, one after the other.

It uses nothing of a version but what each has had from the beginning. A line of names comes in; the
milliseconds and the milliseconds of processor time that an image took go out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.timing import processor_seconds
from orangecontrib import imageanalytics
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder


def main() -> None:
    """Serve until the input ends."""
    tree, model = sys.argv[1:]
    assert Path(imageanalytics.__file__).is_relative_to(tree), imageanalytics.__file__
    with ImageEmbedder(model, cache=False) as embedder:
        for line in sys.stdin:
            paths = json.loads(line)
            embedder(paths[:8])  # workers end when they have been idle
            begun, spent = time.perf_counter(), processor_seconds()
            vectors = embedder(paths)
            taken = time.perf_counter() - begun, processor_seconds() - spent
            assert all(vector is not None for vector in vectors)
            print(json.dumps([1000 * each / len(paths) for each in taken]), flush=True)


if __name__ == "__main__":
    main()
