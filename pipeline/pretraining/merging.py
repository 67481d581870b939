"""Between two models: after a long-context stage, with the model before it, to keep short-context performance.

Granite 4.1 merges after each long-context stage; how is not published. Candidates here are weighted averages and
spherical interpolations (SLERP, Shoemake 1985), and one rule chooses: of those whose short-context loss is within a
tolerance of the model before, the one with the lowest long-range loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.pretraining.config import MergeConfig

COLINEAR = 1e-4
"""Sine of the angle below which SLERP is the average."""


def weighted_average(new: Tensor, old: Tensor, weight: float) -> Tensor:
    """`weight`·new + (1 − weight)·old."""
    return weight * new + (1 - weight) * old


def slerp(new: Tensor, old: Tensor, weight: float) -> Tensor:
    """The point at `weight` of the arc from old to new, as vectors of all elements; between their lengths too."""
    lengths = new.norm(), old.norm()
    if min(lengths) == 0:
        return weighted_average(new, old, weight)
    cosine = torch.clamp((new.flatten() @ old.flatten()) / (lengths[0] * lengths[1]), -1.0, 1.0)
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    if sine < COLINEAR:
        return weighted_average(new, old, weight)
    return (torch.sin(weight * angle) * new + torch.sin((1 - weight) * angle) * old) / sine


METHODS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"average": weighted_average, "slerp": slerp}


@dataclass(frozen=True)
class Candidate:
    """A merged model and its held-out losses, in nats per token."""

    method: str
    weight: float
    """Of the new model."""
    short: float
    long: float


def merge(new: Mapping[str, Tensor], old: Mapping[str, Tensor], method: str, weight: float) -> dict[str, Tensor]:
    """Merges tensor by tensor in fp32. Both must have the same names."""
    assert new.keys() == old.keys(), new.keys() ^ old.keys()
    return {name: METHODS[method](new[name].float(), old[name].float(), weight) for name in new}


def candidates(config: MergeConfig) -> list[tuple[str, float]]:
    """Methods and weights to try; at weight 1 all methods are the new model."""
    found = [(method, weight) for weight in config.weights for method in config.methods if weight < 1]
    return found + [(config.methods[0], 1.0)] * (1.0 in config.weights)


def choose(tried: Sequence[Candidate], short_before: float, tolerance: float) -> Candidate:
    """The rule; where no candidate is within the tolerance, the one with the lowest short-context loss."""
    close = [each for each in tried if each.short <= (1 + tolerance) * short_before]
    return min(close, key=lambda each: each.long) if close else min(tried, key=lambda each: each.short)
