"""Whether a change over prompts is told from chance."""

import random

import pytest

from pipeline.posttraining.common.paired_change import FEWEST_PROMPTS, paired_change


def test_the_interval_holds_the_true_change_as_often_as_it_says() -> None:
    """Two hundred experiments in which each of 30 prompts loses 0.1 on average: it is held nine times of ten."""
    draw = random.Random(0)
    held = 0
    for _ in range(200):
        before = [draw.random() for _ in range(30)]
        after = [score - 0.1 + draw.gauss(0, 0.3) for score in before]
        change = paired_change(before, after)
        held += change.low <= -0.1 <= change.high
    assert 0.83 < held / 200 < 0.95


def test_a_fall_counts_beyond_noise_and_beyond_what_may_be() -> None:
    before = [0.9, 1.0, 0.8, 0.7, 1.0, 0.9, 0.8, 1.0]
    fell = paired_change(before, [score - 0.3 for score in before])
    assert fell.mean == pytest.approx(-0.3)
    assert [fell.fell_beyond(allowed) for allowed in (0.0, 0.2, 0.31)] == [True, True, False]
    mixed = paired_change(before, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 1.0])
    assert mixed.mean < 0
    assert not mixed.fell_beyond(0.0), "some fell and some rose"
    few = FEWEST_PROMPTS - 1
    assert not paired_change(before[:few], [0.0] * few).fell_beyond(0.0)
