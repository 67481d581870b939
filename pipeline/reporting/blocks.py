"""What a report consists of, whatever the format it is written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

UNKNOWN = "—"
"""What a cell shows of a number that is not there."""


@dataclass(frozen=True)
class Text:
    """A paragraph, which may hold any text."""

    text: str


@dataclass(frozen=True)
class Missing:
    """A paragraph that says what is not there, and why."""

    text: str


@dataclass(frozen=True)
class Points:
    """Sentences, each a point of a list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of equally many cells below a header. Cells may hold any text: whoever writes a format escapes it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers_from: int = 1
    """First column that is aligned as numbers are; those before it name what the row is about."""
    texts: bool = False
    """Whether cells are texts of documents and models, whose line ends count."""


@dataclass(frozen=True)
class Series:
    """One line, or one color of bars."""

    name: str
    points: Sequence[tuple[float, float]]
    """x and y, by x."""
    band: Sequence[tuple[float, float]] = ()
    """For each point the lower and upper end of its interval; empty without one."""


@dataclass(frozen=True)
class Plot:
    """Lines over a number. A table of the same numbers stands behind it."""

    caption: str
    says: str
    """What the plot shows, for who does not see it."""
    x: str
    y: str
    series: Sequence[Series]
    log_x: bool = False
    marks: Sequence[tuple[float, str]] = ()
    """Places on x with a name, such as where a phase ends."""


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when they are asked for."""

    summary: str
    blocks: Sequence[Block]


Block: TypeAlias = Text | Missing | Points | Table | Plot | Folded


@dataclass(frozen=True)
class Section:
    """A part with a heading of its own."""

    id: str
    """Letters and dashes, for links inside the page."""
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A title, the verdict, and the sections below it."""

    title: str
    summary: Sequence[str]
    """The verdict: a few lines before everything else."""
    sections: Sequence[Section] = field(default_factory=list)


def number(value: object, digits: int = 4) -> str:
    """A number as a cell shows it: whole ones with separators, others with some digits; a dash for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return UNKNOWN
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e15 else f"{value:.{digits}g}"


def percent(value: object) -> str:
    """A share as percent; a dash for what is no number."""
    return f"{100 * value:.0f} %" if isinstance(value, int | float) else UNKNOWN


def duration(seconds: float) -> str:
    """Seconds as a reader wants them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def thinned(points: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """Every n-th point, the last one too, so that no more than about `most` are left."""
    every = -(-len(points) // most) or 1
    return [point for place, point in enumerate(points) if place % every == 0 or place == len(points) - 1]
