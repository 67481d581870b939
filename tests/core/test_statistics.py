"""Whether intervals hold what they promise, and a change over prompts is told from chance.

Numbers to compare are of scipy 1.17.1 (`binomtest(k, n).proportion_ci(method="wilson")`, `binomtest(k, n).pvalue`),
which is not needed here, or counted out.
"""

import itertools
import random

import pytest

from pipeline.core.statistics import FEWEST_PROMPTS, mcnemar_p, mean_interval, paired_change, wilson_interval


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        (0, 32, 0.0, 0.1071791982550706),
        (1, 10, 0.017876213095072896, 0.4041500267952385),
        (15, 32, 0.30869387108068835, 0.6355048288102536),
        (32, 32, 0.8928208017449293, 1.0),
        (200, 256, 0.7266556785803728, 0.8275284021800744),
    ],
)
def test_wilsons_interval_is_scipys(successes: int, count: int, low: float, high: float) -> None:
    assert wilson_interval(successes, count) == pytest.approx((low, high), abs=1e-12)


def test_wilsons_interval_of_nothing_is_all_there_is() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert mean_interval([]) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.95])
def test_wilsons_interval_holds_the_true_share_as_often_as_it_says(share: float) -> None:
    draw = random.Random(0)
    held = 0
    for _ in range(1000):
        low, high = wilson_interval(sum(draw.random() < share for _ in range(60)), 60)
        held += low <= share <= high
    assert 0.92 < held / 1000 < 0.99


def test_scores_between_0_and_1_have_the_bootstraps_interval() -> None:
    """Two scores: of four equally likely drawings, one has both low ones and one both high ones."""
    assert mean_interval([0.25, 0.75]) == (0.25, 0.75)
    assert mean_interval([0.0, 1.0, 1.0]) == wilson_interval(2, 3)
    alike = mean_interval([0.5] * 20)
    assert alike == wilson_interval(10, 20), "no width would say that nothing is left to chance"
    draw = random.Random(0)
    held = 0
    for _ in range(200):
        low, high = mean_interval([draw.choice((0.0, 0.25, 1.0)) for _ in range(60)])
        held += low <= 1.25 / 3 <= high
    assert 0.9 < held / 200 < 0.99


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (0, 5), (3, 7), (8, 2), (6, 6)])
def test_mcnemars_p_is_what_counting_all_tosses_gives(gained: int, lost: int) -> None:
    heads = [sum(tosses) for tosses in itertools.product((0, 1), repeat=gained + lost)]
    uneven = abs(gained - lost)
    expected = sum(abs(2 * each - gained - lost) >= uneven for each in heads) / len(heads)
    assert mcnemar_p(gained, lost) == pytest.approx(expected)


def test_mcnemars_p_of_many_prompts() -> None:
    assert mcnemar_p(60, 30) == pytest.approx(0.0020602656809630745)
    assert mcnemar_p(80, 120) == pytest.approx(0.005685155996750306)
    assert mcnemar_p(3000, 3000) == 1.0


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
