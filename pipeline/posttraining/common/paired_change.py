"""How sure it is that a model became better or worse, from the same prompts asked before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy

RESAMPLES = 10_000
CONFIDENCE = 0.9
"""Of the interval: its upper end is exceeded by chance in one of 20 cases, which is what a fall is held against."""
FEWEST_PROMPTS = 5
"""Below so many prompts nothing is beyond noise: all of four fall together by chance in one of 16 cases."""


class Change(NamedTuple):
    """The mean change of a score over prompts, with the interval that it lies in by the paired bootstrap."""

    mean: float
    low: float
    high: float
    prompts: int

    def fell_beyond(self, allowed: float) -> bool:
        """Whether the whole interval lies below a fall that is allowed, from enough prompts to say so."""
        return self.prompts >= FEWEST_PROMPTS and self.high < -allowed


def paired_change(before: Sequence[float], after: Sequence[float]) -> Change:
    """The change from one score of each prompt to another, with its 90 % interval.

    The prompts are drawn again, with replacement, 10,000 times (the paired bootstrap; Koehn 2004, ACL W04-3250), always
    with the same random numbers. A prompt's score may be a mean over several replies: that they were sampled is in the
    differences between prompts.

    Args:
        before: a score for each prompt.
        after: for the same prompts in the same order.
    """
    differences = numpy.asarray(after, dtype=float) - numpy.asarray(before, dtype=float)
    count = len(differences)
    drawn = numpy.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    low, high = numpy.quantile(differences[drawn].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Change(float(differences.mean()), float(low), float(high), count)
