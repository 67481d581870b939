"""The plan of an evaluation: its FLOPs by hand, and what it refuses or warns of."""

from typing import Any

import pytest

from pipeline.core.config import ResourcesConfig, build
from pipeline.core.errors import ConfigError
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.planned import flops, plan_evaluation
from tests.evaluation.settings import SETTINGS
from tests.settings import model_shape, stage_config

SHAPE = model_shape(
    vocab_size=1000, hidden_size=64, layers=2, attention_heads=4, key_value_heads=2, mlp_hidden_size=128
)
TOKENS = {"domains": ["code", "math"]}


def settings(**changes: Any) -> EvaluateConfig:
    return build(EvaluateConfig, {**SETTINGS, "accuracy": None, **changes}, "")


def test_flops_are_those_of_forward_passes() -> None:
    needed = flops(settings(), SHAPE, domains=2)
    weights = 2 * SHAPE.parameters
    assert needed["loss"] == 2 * 4 * 64 * (weights + 2 * 2 * 64 * 64)
    assert needed["needles"] == sum(2 * 3 * each * (weights + 2 * 2 * 64 * each) for each in (128, 256))
    assert needed["windows"] == sum(3 * each * (weights + 2 * 2 * 64 * each) for each in (128, 256))


def test_needles_at_512k_are_hours_which_ranks_divide() -> None:
    config = stage_config("evaluate_phase5_512k", "granite_4_1_8b")
    shape = model_shape()
    one = plan_evaluation(config, ResourcesConfig(time="04:00:00"), {"model": shape}, {"tokens": TOKENS})
    assert "needles 6.9e+18" in one.lines[0]
    assert "do not fit the limit of 4.0 h" in one.warnings[0]
    four = plan_evaluation(
        config, ResourcesConfig(processes_per_node=4, time="0-04:00:00"), {"model": shape}, {"tokens": TOKENS}
    )
    assert not four.warnings
    assert "on 4 H100" in four.lines[0]


def test_a_small_evaluation_has_nothing_to_say() -> None:
    plan = plan_evaluation(settings(), ResourcesConfig(), {"model": SHAPE}, {"tokens": TOKENS, "model": {}})
    assert (plan.lines, plan.warnings) == ((), ())


def test_what_needs_tokens_is_refused_without_them_and_a_context_beyond_the_phase_too() -> None:
    with pytest.raises(ConfigError, match=r"loss: measured on tokens, and inputs\.tokens names no stage"):
        plan_evaluation(settings(), ResourcesConfig(), {}, {})
    probes = {"families": ["copying"], "lengths": [64, 512], "examples": 1}
    with pytest.raises(ConfigError, match=r"probes\.lengths=512: the model's phase trains 256 tokens, set at most 256"):
        plan_evaluation(settings(probes=probes), ResourcesConfig(), {}, {"tokens": TOKENS, "model": {"context": 256}})
