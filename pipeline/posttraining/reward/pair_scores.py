"""What a reward model's scores of preference pairs say: accuracy and margin, of all and of each kind and language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

GROUPED_BY = ("kind", "language")
"""Keys of a pair by which it is looked at apart, where it has them."""
ON_POLICY = "on_policy"
"""The kind of a pair whose rejected reply the policy itself gave."""


def pair_metrics(
    pairs: Sequence[Mapping[str, Any]], chosen: Sequence[float], rejected: Sequence[float]
) -> dict[str, float]:
    """`accuracy`, the share of pairs whose chosen response scores higher, `margin`, by how much on average, and both
    for each kind of rejection and each language: `accuracy/kind/<kind>`, `margin/language/<language>`.

    Args:
        pairs: with `kind` and `language` where these are known.
        chosen: the score of each pair's chosen response.
        rejected: that of its rejected one.
    """
    margins = [better - worse for better, worse in zip(chosen, rejected, strict=True)]
    groups: dict[str, list[float]] = {"": margins}
    for pair, margin in zip(pairs, margins, strict=True):
        for key in GROUPED_BY:
            if pair.get(key):
                groups.setdefault(f"/{key}/{pair[key]}", []).append(margin)
    found = {f"accuracy{name}": fmean(margin > 0 for margin in own) for name, own in sorted(groups.items())}
    return found | {f"margin{name}": fmean(own) for name, own in sorted(groups.items())}
