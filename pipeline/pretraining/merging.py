"""Weights between two models: merging a long-context phase's with those before it, to keep short-context performance.

Granite 4.1 merges after each long-context stage; how is not published. Tried here are weighted averages and spherical
interpolations (SLERP, Shoemake 1985), and one rule chooses: of those whose short-context loss is within a tolerance of
the model before, the one with the lowest long-range loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.pretraining.config import MergeConfig

COLLINEAR = 1e-4
"""Sine of the angle between two tensors below which they count as parallel, and SLERP is the average."""


def weighted_average(new: Tensor, old: Tensor, weight: float) -> Tensor:
    """`weight`·new + (1 − weight)·old, elementwise."""
    return weight * new + (1 - weight) * old


def slerp(new: Tensor, old: Tensor, weight: float) -> Tensor:
    """The point at `weight` on the arc from old to new, each tensor taken as one vector of all its elements.

    Its length lies between theirs. The average where a vector is zero or both are parallel, since there is no arc.
    """
    lengths = new.norm(), old.norm()
    if min(lengths) == 0:
        return weighted_average(new, old, weight)
    cosine = torch.clamp((new.flatten() @ old.flatten()) / (lengths[0] * lengths[1]), -1.0, 1.0)
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    if sine < COLLINEAR:
        return weighted_average(new, old, weight)
    return (torch.sin(weight * angle) * new + torch.sin((1 - weight) * angle) * old) / sine


METHODS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"average": weighted_average, "slerp": slerp}


@dataclass(frozen=True)
class MergedModel:
    """How two models were merged, and the held-out losses of the result in nats per token."""

    method: str
    """A key of METHODS."""
    weight: float
    """Of the new model, above 0 and up to 1."""
    short: float
    """Loss at positions that the context before had."""
    long: float
    """Loss at the positions beyond them."""


def merge(new: Mapping[str, Tensor], old: Mapping[str, Tensor], method: str, weight: float) -> dict[str, Tensor]:
    """Merges two models tensor by tensor in fp32; both must have the same names and shapes."""
    assert new.keys() == old.keys(), new.keys() ^ old.keys()
    return {name: METHODS[method](new[name].float(), old[name].float(), weight) for name in new}


def methods_and_weights(config: MergeConfig) -> list[tuple[str, float]]:
    """The merges to try. Weight 1 is there once at most: all methods then give the new model."""
    found = [(method, weight) for weight in config.weights for method in config.methods if weight < 1]
    return found + [(config.methods[0], 1.0)] * (1.0 in config.weights)


def choose(tried: Sequence[MergedModel], short_before: float, tolerance: float) -> MergedModel:
    """The merge to keep: of those that keep short-context performance, the one with the lowest long-range loss.

    Args:
        tried: at least one.
        short_before: short-context loss of the old model.
        tolerance: share of `short_before` by which a merged model's may be above it. Where none keeps to that, the one
            with the lowest short-context loss is chosen.
    """
    close = [each for each in tried if each.short <= (1 + tolerance) * short_before]
    return min(close, key=lambda each: each.long) if close else min(tried, key=lambda each: each.short)
