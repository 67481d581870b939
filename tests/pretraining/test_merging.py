"""Between two models: SLERP against its definition, and the rule that chooses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import MergeConfig
from pipeline.pretraining.merging import MergedModel, choose, merge, methods_and_weights, slerp, weighted_average


@given(weight=st.floats(0, 1), angle=st.floats(0.05, 3.0), lengths=st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)))
def test_slerp_of_equal_lengths_moves_along_the_circle(
    weight: float, angle: float, lengths: tuple[float, float]
) -> None:
    old = torch.tensor([1.0, 0.0], dtype=torch.float64)
    new = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    between = slerp(new, old, weight)
    torch.testing.assert_close(
        between, torch.tensor([math.cos(weight * angle), math.sin(weight * angle)], dtype=torch.float64)
    )
    # The ends stay what they are, whatever their lengths.
    torch.testing.assert_close(slerp(lengths[0] * new, lengths[1] * old, 1.0), lengths[0] * new)
    torch.testing.assert_close(slerp(lengths[0] * new, lengths[1] * old, 0.0), lengths[1] * old)


def test_slerp_of_what_has_no_angle_is_the_average() -> None:
    some = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    for other in (torch.zeros(4, 3), some * 2, some):
        torch.testing.assert_close(slerp(some, other, 0.25), weighted_average(some, other, 0.25))


def test_every_tensor_is_merged() -> None:
    new, old = {"a": torch.ones(2), "b": torch.full((2,), 3.0)}, {"a": torch.zeros(2), "b": torch.ones(2)}
    merged = merge(new, old, "average", 0.25)
    assert {name: value.tolist() for name, value in merged.items()} == {"a": [0.25, 0.25], "b": [1.5, 1.5]}


def test_at_weight_one_there_is_one_candidate() -> None:
    found = methods_and_weights(MergeConfig(weights=(0.5, 1.0)))
    assert found == [("average", 0.5), ("slerp", 0.5), ("average", 1.0)]
    with pytest.raises(ConfigError, match=r"^merge\.weights\.0=0\.0: set it above 0\.0$"):
        build(MergeConfig, {"weights": [0.0]}, "merge")


def test_the_rule() -> None:
    far = MergedModel("average", 1.0, short=3.04, long=4.0)
    middle = MergedModel("slerp", 0.5, short=3.02, long=4.2)
    near = MergedModel("average", 0.25, short=2.99, long=4.5)
    assert choose([far, middle, near], short_before=3.0, tolerance=0.01) == middle
    assert choose([far, middle, near], short_before=3.0, tolerance=0.02) == far
    assert choose([far, middle], short_before=2.0, tolerance=0.01) == middle
