"""Two checkpoints compared on the same prompts, domain by domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.statistics import Change, mcnemar_p, paired_change
from pipeline.environments.registry import Asked
from pipeline.evaluation.accuracy import score_name
from pipeline.evaluation.answers import Answer


class Compared(NamedTuple):
    """How a checkpoint's answers in a domain differ from those of the one before."""

    domain: str
    split: Asked
    before: float
    """Mean score of the one before, on the prompts that both were asked."""
    after: float
    change: Change
    """The mean change of the score, with its 90 % interval by the paired bootstrap."""
    gained: int
    """Prompts with a right answer that was not right before."""
    lost: int
    """The other way round."""
    p: float
    """Of the exact McNemar test on these two: how often chance alone is as uneven."""

    @property
    def name(self) -> str:
        """What the score is called."""
        return score_name(self.domain, self.split)

    def record(self) -> dict[str, float | int]:
        """Its numbers, as `evaluation.json` has them."""
        return {
            "before": self.before,
            "after": self.after,
            "change": self.change.mean,
            "low": self.change.low,
            "high": self.change.high,
            "gained": self.gained,
            "lost": self.lost,
            "p": self.p,
            "prompts": self.change.prompts,
        }

    def __str__(self) -> str:
        return (
            f"{self.name} {self.before:.3f} -> {self.after:.3f} ({self.change.mean:+.3f}, 90 % {self.change.low:+.3f} "
            f"to {self.change.high:+.3f}, McNemar p {self.p:.2g}, {self.change.prompts} prompts)"
        )


def compare(before: Sequence[Answer], after: Sequence[Answer]) -> list[Compared]:
    """What changed in every domain and split of which both were asked the same prompts, in the order of `after`.

    Prompts that only one of them was asked are left out. Right is a score of 1.
    """
    known = {each.asked: each.score for each in before}
    pairs: dict[tuple[str, Asked], list[tuple[float, float]]] = {}
    for each in after:
        if each.asked in known:
            pairs.setdefault((each.domain, each.split), []).append((known[each.asked], each.score))
    found: list[Compared] = []
    for (domain, split), scores in pairs.items():
        first, second = [pair[0] for pair in scores], [pair[1] for pair in scores]
        gained = sum(old < 1.0 <= new for old, new in scores)
        lost = sum(new < 1.0 <= old for old, new in scores)
        found.append(
            Compared(
                domain=domain,
                split=split,
                before=sum(first) / len(first),
                after=sum(second) / len(second),
                change=paired_change(first, second),
                gained=gained,
                lost=lost,
                p=mcnemar_p(gained, lost),
            )
        )
    return found
