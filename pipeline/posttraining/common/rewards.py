"""The reward of a chat model's completion: of the verifier, the reward model and rules, as the settings compose them.

Training and evaluation compute it here: `rl.trl_adapter` hands it to TRL, `eval_sampling` averages it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pipeline.environments import Problem, verify_all
from pipeline.inference.completions import Completion, verified
from pipeline.posttraining.common.reward_config import REWARD_MODEL, VERIFIER, RewardConfig

Scorer = Callable[[Sequence[Problem], Sequence[str]], list[float]]
"""Problems and as many completions → a score from 0 to 1 for each, as a reward model gives it."""
PASSED, LENGTH_PENALTY = "gate", "length_penalty"
"""Names of the parts of a reward that are no scores: 1 where the gate let a completion pass, and what it lost."""


@dataclass(frozen=True)
class Reward:
    """The reward of one completion."""

    value: float
    """From 0 to 1."""
    parts: dict[str, float] = field(default_factory=dict)
    """By name, what it was made of; empty if it is the verifier's score and nothing else."""


@dataclass(frozen=True)
class RewardRule:
    """A domain's reward: its settings, and what they need to be computed."""

    config: RewardConfig = field(default_factory=RewardConfig)
    reward_model: Scorer | None = None
    """What scores as the reward model; needed if that is a part."""
    count_tokens: Callable[[str], int] | None = None
    """A completion's tokens; needed for a length penalty."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that its rewards have; none if they are the verifier's score and nothing else."""
        if self.config.is_verdict:
            return ()
        used = {LENGTH_PENALTY: self.config.length_penalty, PASSED: self.config.gate}
        return (*self.config.parts, *(name for name, setting in used.items() if setting))

    def __call__(self, completions: Sequence[Completion]) -> list[Reward]:
        """The reward of each completion; a completion that did not end has 0, whatever it is made of."""
        if self.config.is_verdict:
            verified([each for each in completions if each.ended])
            return [Reward(each.score) for each in completions]
        scores = {part: self._scores(part, completions) for part in self.config.parts}
        return [
            self._compose(each, {part: scores[part][place] for part in scores})
            for place, each in enumerate(completions)
        ]

    def _scores(self, part: str, completions: Sequence[Completion]) -> list[float]:
        if part == VERIFIER:
            return [each.verdict.score for each in verified(completions)]
        if part == REWARD_MODEL:
            assert self.reward_model is not None
            return self.reward_model([each.problem for each in completions], [each.text for each in completions])
        asked = [replace(each.problem, environment=part) for each in completions]
        return [verdict.score for verdict in verify_all(asked, [each.text for each in completions])]

    def _compose(self, completion: Completion, parts: dict[str, float]) -> Reward:
        config = self.config
        weights = config.score
        score = sum(weight * parts[part] for part, weight in weights.items()) / sum(weights.values())
        value = config.floor + (1 - config.floor) * score
        if config.length_penalty is not None:
            assert self.count_tokens is not None
            parts[LENGTH_PENALTY] = config.length_penalty.of(self.count_tokens(completion.text))
            value = max(0.0, value - parts[LENGTH_PENALTY])
        if config.gate is not None:
            parts[PASSED] = float(parts[config.gate] >= config.gate_threshold)
            value = value if parts[PASSED] else config.floor
        return Reward(value if completion.ended else 0.0, parts)


def rewards_of(completions: Sequence[Completion], rule: RewardRule | None = None) -> list[float]:
    """The reward of each completion, from 0 to 1: by its domain's rule, or by the verifier where there is none."""
    return [reward.value for reward in (rule or RewardRule())(completions)]
