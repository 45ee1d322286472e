"""A figure: a measured number, what is asked of it, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes
    ----------
    question : str
        What was measured, for people.
    value : float
        The number.
    unit : str
        "ms", "MB", ...; "×" for a ratio.
    at_most, at_least : float, optional
        The aim, in the same unit; a figure with neither is for information.
    note : str
        What it is made of, or what to keep in mind.
    """

    question: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def aim(self) -> str:
        """What is asked of the number, for people."""
        if self.at_most is not None:
            return f"≤ {_number(self.at_most)} {self.unit}"
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)} {self.unit}"
        return ""

    @property
    def ok(self) -> bool | None:
        """Whether the aim is reached; None without an aim."""
        if self.at_most is not None:
            return self.value <= self.at_most
        if self.at_least is not None:
            return self.value >= self.at_least
        return None

    @property
    def text(self) -> str:
        """The number with its unit."""
        return f"{_number(self.value)} {self.unit}"

    def __str__(self) -> str:
        verdict = (
            "" if self.ok is None else f" (aim {self.aim}: {'reached' if self.ok else 'MISSED'})"
        )
        note = f"; {self.note}" if self.note else ""
        return f"{self.question}: {self.text}{verdict}{note}"

    def to_json(self) -> dict[str, Any]:
        """Everything, the derived parts too."""
        return {**asdict(self), "aim": self.aim, "ok": self.ok}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Figure:
        """The opposite of `to_json`."""
        return cls(**{name: fields[name] for name in cls.__slots__})


def as_markdown(figures: Iterable[Figure]) -> str:
    """Lay figures out as a Markdown table."""
    rows = [
        f"| {f.question} | {f.text} | {f.aim} | {_VERDICTS[f.ok]} | {f.note} |" for f in figures
    ]
    return "\n".join(["| Figure | Measured | Aim | | Note |", "|---|--:|--:|---|---|", *rows])


_VERDICTS = {True: "reached", False: "**missed**", None: ""}


def _number(value: float) -> str:
    """Three significant digits are more than these figures are worth."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{float(f'{value:.3g}'):g}"
