"""Averages of models: after a long-context stage, with the model before it, to keep short-context performance.

Granite 4.1 merges after each long-context stage; how is not published. This is the weighted average.
"""

from collections.abc import Mapping

from torch import Tensor


def weighted_average(new: Mapping[str, Tensor], old: Mapping[str, Tensor], weight: float) -> dict[str, Tensor]:
    """`weight`·new + (1 − weight)·old, tensor by tensor in fp32. Both must have the same names."""
    assert new.keys() == old.keys(), new.keys() ^ old.keys()
    return {name: weight * new[name].float() + (1 - weight) * old[name].float() for name in new}
