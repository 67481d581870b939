"""Learning rates against published and derived values."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import PhaseConfig, ScheduleConfig
from pipeline.pretraining.schedules import exponential, linear, power, schedule_of
from tests.settings import model_shape, stage_config

BATCH = 1024 * 4096
POWER: Any = {"law": "power", "scale": 4.0, "exponent": -0.51, "maximum": 0.02}
"""Granite 3.0 report, equation 9."""
PUBLISHED = ScheduleConfig(**POWER, warmup_tokens=2500 * BATCH)
SHAPE = model_shape(vocab_size=64, hidden_size=32, layers=1, attention_heads=4, key_value_heads=2, mlp_hidden_size=48)


def phase(learning_rate: ScheduleConfig, tokens: int = 1000 * BATCH) -> PhaseConfig:
    sizes: dict[str, Any] = {"tokens": tokens, "context": 4096, "sequences_per_step": 1024}
    return stage_config("phase1", model=SHAPE, mixture={"code": 1}, learning_rate=learning_rate, **sizes)


@pytest.mark.parametrize(("tokens", "rate"), [(100e9, 1.01e-2), (1e12, 3.11e-3), (10e12, 9.60e-4), (12e12, 8.75e-4)])
def test_power_law_check_values(tokens: float, rate: float) -> None:
    """Derived from Granite 3.0's a = 4, b = -0.51, batch of 1,024 sequences of 4,096."""
    assert power(tokens, BATCH, PUBLISHED) == pytest.approx(rate, rel=5e-3)


def test_power_law_is_capped_until_26_billion_tokens() -> None:
    without_warmup = ScheduleConfig(**POWER)
    assert power(25e9, BATCH, without_warmup) == 0.02
    assert power(27e9, BATCH, without_warmup) < 0.02


@given(tokens=st.floats(1, 1e13))
def test_power_law_follows_the_batch_size(tokens: float) -> None:
    free = ScheduleConfig(**{**POWER, "maximum": 1e9})
    assert power(tokens, 2 * BATCH, free) == pytest.approx(2 * power(tokens, BATCH, free))


@given(progress=st.floats(0, 10), ratio=st.floats(0, 1))
def test_decays_start_at_one_and_never_fall_below_the_ratio(progress: float, ratio: float) -> None:
    for law in (exponential, linear):
        assert law(0.0, ratio) == pytest.approx(1.0)
        assert law(1.0, ratio) == pytest.approx(ratio, abs=1e-12)
        assert ratio <= law(progress, ratio) <= 1.0 + 1e-12


def test_phases_chain() -> None:
    first = schedule_of(phase(PUBLISHED), 0, None)
    second = schedule_of(phase(ScheduleConfig(**POWER)), first.tokens, first.end_rate)
    third = schedule_of(phase(ScheduleConfig(law="exponential", end_ratio=0.1)), 2 * first.tokens, second.end_rate)
    fourth = schedule_of(phase(ScheduleConfig(law="linear")), 3 * first.tokens, third.end_rate)
    assert third.rate_at(0) == second.end_rate
    assert third.end_rate == pytest.approx(0.1 * second.end_rate)
    assert fourth.rate_at(0) == third.end_rate
    assert fourth.end_rate == 0.0


@given(steps=st.integers(1, 500), warmup_steps=st.integers(0, 600))
def test_no_step_is_wasted_at_zero(steps: int, warmup_steps: int) -> None:
    config = ScheduleConfig(law="linear", start=1.0, warmup_tokens=warmup_steps * BATCH)
    schedule = schedule_of(phase(config, steps * BATCH), 0, None)
    assert all(schedule.rate_of_step(step) > 0 for step in range(steps))


def test_a_decay_needs_a_rate_to_start_from() -> None:
    with pytest.raises(ConfigError, match="set it for linear"):
        schedule_of(phase(ScheduleConfig(law="linear")), 0, None)


def test_tokens_are_rounded_up_to_whole_steps() -> None:
    assert dataclasses.replace(phase(PUBLISHED), tokens=BATCH + 1).steps == 2
