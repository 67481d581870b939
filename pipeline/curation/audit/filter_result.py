"""What a filter answers about a document: keep it or not, why, and by how much."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Why a step removes a document."""

    reason: str
    """A name that rows of removals, examples and the report use, such as `too_short`."""
    value: float | None = None
    """What was measured, where the reason is a number."""
    threshold: float | None = None
    """The limit that the number passed."""
    duplicate_of: str | None = None
    """Id of the document kept in its place."""


@dataclass(frozen=True, slots=True)
class Check:
    """A number of a document that was held against a limit, and passed."""

    reason: str
    """The reason that the removal would have had."""
    value: float
    threshold: float

    @property
    def distance(self) -> float:
        """How far the value is from the limit, relative to the limit."""
        return abs(self.value - self.threshold) / max(abs(self.threshold), 1e-9)


@dataclass(frozen=True, slots=True)
class FilterResult:
    """What a filter says of a document, whose text it may have changed."""

    removal: Removal | None = None
    """None keeps the document."""
    checks: tuple[Check, ...] = ()
    """What a document that stays was held against, for the report of near misses."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was found in the document, by kind, whether it stays or not: summed over all documents of the step."""
    matches: tuple[Mapping[str, str | int | float], ...] = ()
    """Evidence to write beside the removals, such as text shared with a benchmark. Never what had to be hidden."""


KEEP = FilterResult()
"""The answer that keeps a document and has nothing to say of it."""


def reject(
    reason: str, value: float | None = None, threshold: float | None = None, duplicate_of: str | None = None
) -> FilterResult:
    """The result for a document that does not stay: a `Removal` of these fields."""
    return FilterResult(Removal(reason=reason, value=value, threshold=threshold, duplicate_of=duplicate_of))


LimitCheck = tuple[str, float, Literal["<=", ">="], float]
"""The reason if it fails, the value, and how it must compare with the limit."""


def check_limits(measured: Iterable[LimitCheck]) -> FilterResult:
    """Holds values against limits, one after the other, and rejects the document at the first that fails.

    An iterator can so leave out the work for later values. A document that passes has all checks in its result.
    """
    checks = []
    for reason, value, side, limit in measured:
        if (value > limit) if side == "<=" else (value < limit):
            return reject(reason, value, limit)
        checks.append(Check(reason, value, limit))
    return FilterResult(checks=tuple(checks))
