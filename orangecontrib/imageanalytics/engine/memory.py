"""How the memory for decoding is shared out: pure decisions.

Every worker may take its allowance at any time, unasked. Half of the memory, or as much as one of
the largest images takes, is kept back. An image that needs more than the allowance is postponed;
what it needs beyond the allowance of its worker comes from what is kept back, and if that is not
enough, it is worked on alone. So all that is decoded at a time never takes more than the total.
"""

from __future__ import annotations

from dataclasses import dataclass

from orangecontrib.imageanalytics.decoding import BUDGET

#: The share of a machine's memory that decoding may take. What Orange, the system and the workers
#: themselves take (150 MB each, with SqueezeNet) is in the rest.
SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory for decoding, divided; all in bytes.

    Attributes
    ----------
    total : int
        What all decodes at the same time may take together.
    most : int
        What one image may take: the same on every machine that has it, so that what is too
        large on one is so on another.
    allowance : int
        What each worker may take without being asked.
    kept_back : int
        What is there for larger images.
    """

    total: int
    most: int
    allowance: int
    kept_back: int

    @classmethod
    def divided(cls, total: int, workers: int, most: int = BUDGET) -> Memory:
        """Divide a machine's memory for decoding between a number of workers."""
        most = min(most, total)
        allowance = min(most, (total - min(most, total // 2)) // workers)
        return cls(total, most, allowance, total - allowance * workers)

    def extra(self, cost: int) -> int:
        """Tell what an image takes of what is kept back."""
        return max(0, cost - self.allowance)

    def is_free(self, cost: int, reserved: int) -> bool:
        """Whether a large image may be begun, when so much is taken of what is kept back."""
        return reserved + self.extra(cost) <= self.kept_back

    def is_all(self, cost: int) -> bool:
        """Whether a large image can only be worked on alone."""
        return not self.is_free(cost, 0)
