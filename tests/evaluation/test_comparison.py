"""Two evaluations of the same prompts, and what gates say of the second."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from pipeline.core.errors import GateError
from pipeline.core.statistics import mcnemar_p, paired_change
from pipeline.evaluation.comparison import compare
from pipeline.evaluation.config import GatesConfig
from pipeline.evaluation.gates import check_gates, losses_beyond
from tests.evaluation.answered import answered

VOCABULARY = 1000
GATES = GatesConfig(accuracy_may_fall=0.05, loss_may_rise=0.15, uniform_guess=True, action="warn")


def test_domains_are_compared_on_the_prompts_that_both_were_asked() -> None:
    before, after = answered("math", 12, 20) + answered("science", 3, 10), answered("math", 18, 20)
    shuffled = [*reversed(after), *answered("identity", 2, 5)]
    [found] = compare(before, shuffled)
    assert (found.name, found.before, found.after, found.gained, found.lost) == ("math", 0.6, 0.9, 6, 0)
    assert found.p == mcnemar_p(6, 0) == 2 / 2**6
    assert found.change == paired_change([0.0] * 2 + [0.0] * 6 + [1.0] * 12, [0.0] * 2 + [1.0] * 18)
    assert found.record()["prompts"] == 20
    assert "0.600 -> 0.900 (+0.300" in str(found)


def test_splits_are_compared_apart_and_partial_scores_are_not_right() -> None:
    before = [replace(each, score=0.5) for each in answered("math", 4, 8)]
    after = answered("math", 4, 8)
    [found] = compare(before, after)
    assert (found.gained, found.lost) == (4, 0)
    assert compare(before, [replace(each, split="train") for each in after]) == []
    assert compare([], after) == []


@pytest.mark.parametrize(
    ("right", "named"),
    [(20, False), (18, False), (14, True), (0, True)],
)
def test_a_gate_names_a_fall_beyond_noise_and_beyond_what_may_be(right: int, named: bool) -> None:
    compared = compare(answered("math", 20, 20), answered("math", right, 20))
    said = losses_beyond(GATES, {}, {}, compared, VOCABULARY)
    assert bool(said) == named
    assert all("accuracy of math 1.000" in each and "gates.accuracy_may_fall=0.05" in each for each in said)
    assert losses_beyond(replace(GATES, accuracy_may_fall=None), {}, {}, compared, VOCABULARY) == []


def test_a_fall_on_few_prompts_is_noise() -> None:
    compared = compare(answered("math", 4, 4), answered("math", 0, 4))
    assert losses_beyond(GATES, {}, {}, compared, VOCABULARY) == []


@pytest.mark.parametrize(
    ("metrics", "before", "said"),
    [
        ({"loss/mean": 3.0}, {"loss/mean": 3.2}, None),
        ({"loss/mean": 3.4}, {"loss/mean": 3.2}, None),
        ({"loss/mean": 4.0}, {"loss/mean": 3.2}, r"text loss rose from 3.200 to 4.000, \+25.0%, more than gates.loss"),
        ({"loss/mean": 8.0}, {}, "text loss 8.000 is no less than a uniform guess, 6.908: it has lost text"),
        (
            {"long_range_loss/2048": 7.0},
            {"long_range_loss/2048": 4.0},
            r"long range \(2048 tokens\) .* context is gone",
        ),
        ({"long_range_loss/2048": 5.0}, {"long_range_loss/2048": 4.0}, "long range .* rose from 4.000 to 5.000"),
    ],
)
def test_a_model_that_lost_text_or_long_context_is_named(
    metrics: dict[str, float], before: dict[str, float], said: str | None
) -> None:
    assert math.log(VOCABULARY) == pytest.approx(6.908, abs=1e-3)
    found = losses_beyond(GATES, metrics, before, [], VOCABULARY)
    if said is None:
        assert found == []
    else:
        [sentence] = found
        assert re.search(said, sentence)
    nothing = GatesConfig(accuracy_may_fall=None, loss_may_rise=None, uniform_guess=False, action="stop")
    assert losses_beyond(nothing, metrics, before, [], VOCABULARY) == []


def test_gates_warn_or_stop(capsys: Any) -> None:
    check_gates("evaluate_sft", GATES, ["text loss is gone"])
    assert capsys.readouterr().out == "warning: text loss is gone\n"
    stop = replace(GATES, action="stop")
    check_gates("evaluate_sft", stop, [])
    with pytest.raises(GateError, match=r"text loss is gone; .* set stages\.evaluate_sft\.config\.gates\.action=warn"):
        check_gates("evaluate_sft", stop, ["text loss is gone"])
