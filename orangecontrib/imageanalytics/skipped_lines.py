"""What the command line says of the images that it skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.sources.regular_file import shown

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.outcome import Skipped

__all__ = ["skipped_lines"]

#: How many images are named.
_NAMED = 20


def skipped_lines(skipped: Sequence[tuple[str, Skipped]], of_more: str = "") -> Iterator[str]:
    """Count skipped images by their reasons, and name the first of them.

    Parameters
    ----------
    skipped : sequence of (str, Skipped)
        The path of each, and why.
    of_more : str
        What follows where there are too many to name all.

    Yields
    ------
    str
        The lines; none if nothing was skipped.
    """
    if not skipped:
        return
    counts = Counter(outcome.reason for _, outcome in skipped)
    yield "skipped: " + ", ".join(f"{n} {reason}" for reason, n in counts.most_common())
    for path, outcome in skipped[:_NAMED]:
        yield f"  {shown(path)}: {outcome}"
    if len(skipped) > _NAMED:
        yield f"  and {len(skipped) - _NAMED} more{of_more}"
