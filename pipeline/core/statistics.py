"""How sure a score is, and whether two models differ on the same prompts.

Intervals are of the score that endless prompts of the same kind would give: where all prompts there are were asked,
nothing is left to chance but which model the training made, and they are wider than need be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy

RESAMPLES = 10_000
CONFIDENCE = 0.9
"""Of a change's interval: its upper end is exceeded by chance in one of 20 cases, which is what a fall is held
against."""
SCORE_CONFIDENCE = 0.95
"""Of a score's interval."""
FEWEST_PROMPTS = 5
"""Below so many prompts nothing is beyond noise: all of four fall together by chance in one of 16 cases."""


class Interval(NamedTuple):
    """The lower and the upper end of what a number lies between."""

    low: float
    high: float


def wilson_interval(successes: float, count: int, confidence: float = SCORE_CONFIDENCE) -> Interval:
    """Wilson's score interval of a share (Wilson 1927, JASA 22, 209-212; Brown et al. 2001, Statistical Science 16(2)).

    It keeps its promise for few prompts and for shares near 0 and 1, where the usual one has no width. With z the
    normal quantile and p the share, its middle is (p + z²/2n) / (1 + z²/n) and its half width
    z √(p(1 − p)/n + z²/4n²) / (1 + z²/n).

    Args:
        successes: how many of `count`; may be a sum of scores from 0 to 1, whose variance is at most that of zeros and
            ones with the same mean, so that the interval is then wider than need be.
        count: of what was tried; 0 gives all there is, 0 to 1.
        confidence: how often the true share is to lie inside.
    """
    if count == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    below = 1 + z * z / count
    # Rounding may leave 0 and 1 by a last digit.
    return Interval(max(0.0, (middle - half) / below), min(1.0, (middle + half) / below))


def mean_interval(scores: Sequence[float], confidence: float = SCORE_CONFIDENCE) -> Interval:
    """The interval of a mean of scores from 0 to 1: Wilson's where all are 0 or 1, else the bootstrap's.

    The percentile bootstrap (Efron 1979, Annals of Statistics 7(1)) draws the scores again 10,000 times, always with
    the same random numbers. Where all scores are equal it has no width, and Wilson's stands in.
    """
    values = numpy.asarray(scores, dtype=float)
    if not len(values) or numpy.isin(values, (0.0, 1.0)).all() or (values == values[0]).all():
        return wilson_interval(float(values.sum()), len(values), confidence)
    return _bootstrap(values, confidence)


def macro_interval(groups: Sequence[Sequence[float]], confidence: float = SCORE_CONFIDENCE) -> Interval:
    """The interval of the mean of groups' means by the bootstrap, which draws again within each group."""
    draw = numpy.random.default_rng(0)
    total = numpy.zeros(RESAMPLES)
    for scores in groups:
        values = numpy.asarray(scores, dtype=float)
        total += values[draw.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = numpy.quantile(total / len(groups), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


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
    low, high = _bootstrap(differences, CONFIDENCE)
    return Change(float(differences.mean()), low, high, len(differences))


def mcnemar_p(gained: int, lost: int) -> float:
    """The exact two-sided p of McNemar's test: were gains and losses equally likely, how often they would be as uneven.

    Prompts on which both models are right, or both wrong, say nothing about which is better. Of the others each is a
    toss of a coin if they are equally good: twice the binomial tail, at most 1 (McNemar 1947, Psychometrika 12(2)).

    Args:
        gained: prompts that only the second model got right.
        lost: prompts that only the first did.
    """
    tosses = gained + lost
    tail = sum(math.comb(tosses, number) for number in range(min(gained, lost) + 1))
    # Whole numbers: a float would overflow beyond 1,023 tosses.
    return min(1.0, 2 * tail / 2**tosses)


def _bootstrap(values: numpy.ndarray, confidence: float) -> Interval:
    drawn = numpy.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = numpy.quantile(values[drawn].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
