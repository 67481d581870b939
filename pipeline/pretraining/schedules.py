"""Learning rate as a pure function of tokens trained; the laws of a run's phases chain.

`power` counts tokens from the beginning of phase 1. The others decay from a start rate, by default the rate where the
phase before ended, as a function of progress, the trained share of the phase's tokens. The rate of a step is the law
at the middle of its tokens, so neither the first step of a warm-up nor the last of a decay to zero is wasted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import PhaseConfig, ScheduleConfig

SEQUENCE_OF_POWER_LAW = 4096
"""The power law's batch size β is in sequences of this many tokens."""


def power(tokens: float, batch_tokens: int, config: ScheduleConfig) -> float:
    """min(η_max, β·a·n^b) after a linear warm-up to its value there (Shen et al. 2024; Granite 3.0 eq. 9).

    Args:
        tokens: n, tokens trained since the beginning of phase 1.
        batch_tokens: tokens of a step, 4096·β.
        config: a, b, η_max and the warm-up.
    """
    beta = batch_tokens / SEQUENCE_OF_POWER_LAW
    settled = max(tokens, config.warmup_tokens, 1.0)
    assert config.scale is not None
    assert config.exponent is not None
    assert config.maximum is not None
    rate = min(config.maximum, beta * config.scale * settled**config.exponent)
    return rate * min(1.0, tokens / config.warmup_tokens) if config.warmup_tokens else rate


def exponential(progress: float, ratio: float) -> float:
    """A·e^(−x)+B with value 1 at x = 0 and `ratio` at x = 1, held at `ratio` after it.

    A = (1−r)e/(e−1), B = (re−1)/(e−1), as in open-lm-engine, which does not hold and falls below zero.
    """
    amplitude = (1 - ratio) * math.e / (math.e - 1)
    offset = (ratio * math.e - 1) / (math.e - 1)
    return max(ratio, amplitude * math.exp(-progress) + offset)


def linear(progress: float, ratio: float) -> float:
    """A straight line from 1 at progress 0 to `ratio` at 1, held after it."""
    return max(ratio, 1 - (1 - ratio) * progress)


def constant(progress: float, ratio: float) -> float:
    """1 at any progress; `ratio` has no meaning."""
    return 1.0


DECAYS: dict[str, Callable[[float, float], float]] = {
    "exponential": exponential,
    "linear": linear,
    "constant": constant,
}
"""Laws that decay from a start rate: progress, and the ratio of end to start rate → share of the start rate."""


@dataclass(frozen=True)
class Schedule:
    """The learning rate of one phase."""

    config: ScheduleConfig
    tokens_before: int
    """Tokens trained before the phase."""
    tokens: int
    """Tokens of the phase."""
    batch_tokens: int
    """Tokens of a step."""
    start_rate: float
    """Rate at the beginning; unused by the power law."""

    def rate_at(self, tokens: float) -> float:
        """The rate after `tokens` tokens of the phase."""
        if self.config.law == "power":
            return power(self.tokens_before + tokens, self.batch_tokens, self.config)
        rate = self.start_rate * DECAYS[self.config.law](tokens / self.tokens, self.config.end_ratio)
        warmup = self.config.warmup_tokens
        return rate * min(1.0, tokens / warmup) if warmup else rate

    def rate_of_step(self, step: int) -> float:
        """The rate of a step of the phase, counted from 0: the law at the middle of its tokens."""
        return self.rate_at((step + 0.5) * self.batch_tokens)

    @property
    def end_rate(self) -> float:
        """The rate at the end of the phase, where the next one starts."""
        return self.rate_at(self.tokens)


def schedule_of(phase: PhaseConfig, tokens_before: int, rate_before: float | None) -> Schedule:
    """The learning-rate schedule of a phase, which may continue the rate of the phase before.

    Args:
        phase: its settings.
        tokens_before: tokens that the phases before trained on.
        rate_before: where their learning rate ended; None if there are none.

    Raises:
        ConfigError: if the phase continues a rate and there is none.
    """
    config = phase.learning_rate
    start_rate = config.start if config.start is not None else rate_before
    if start_rate is None and config.law != "power":
        raise ConfigError(
            f"learning_rate.start is null, but there is no phase before to continue; set it for {config.law}"
        )
    tokens = phase.steps * phase.tokens_per_step
    return Schedule(config, tokens_before, tokens, phase.tokens_per_step, start_rate or 0.0)
