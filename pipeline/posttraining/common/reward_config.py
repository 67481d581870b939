"""How completions of a domain are rewarded: a gate that they must pass, a score of weighted parts, a length penalty."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, NonNegativeFloat, PositiveInt

from pipeline.core.config import Share, nearest

VERIFIER = "verifier"
"""The part of a reward that the domain's own verifier gives."""
REWARD_MODEL = "reward_model"
"""The part that the reward model gives."""


@dataclass(frozen=True, kw_only=True)
class LengthPenalty:
    """What a long completion loses: nothing up to `from_tokens`, from there linearly more, at `to_tokens` all of
    `weight` (the soft overlong punishment of DAPO, arXiv 2503.14476, equation 13)."""

    from_tokens: PositiveInt
    """Tokens of a completion that cost nothing."""
    to_tokens: PositiveInt
    """Tokens from which the whole penalty is taken."""
    weight: Share
    """What is taken from the reward then; a reward does not fall below 0."""

    def __post_init__(self) -> None:
        if self.from_tokens >= self.to_tokens:
            raise ValueError(f"from_tokens is {self.from_tokens} and to_tokens {self.to_tokens}, set to_tokens higher")

    def of(self, tokens: int) -> float:
        """What a completion of so many tokens loses."""
        beyond = (tokens - self.from_tokens) / (self.to_tokens - self.from_tokens)
        return self.weight * min(max(beyond, 0.0), 1.0)


def _weighted(value: Any) -> Any:
    return {value: 1.0} if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """The reward of a domain's completions, from 0 to 1. One that did not end has 0; one that the gate refuses `floor`;
    any other floor + (1 - floor) x the weighted mean of the score's parts, less the length penalty.

    A part is `verifier` (the domain's own), `reward_model`, or a rule of one's own as `module:NAME`: a function that
    grades as a verifier does.
    """

    score: Annotated[dict[str, NonNegativeFloat], BeforeValidator(_weighted)] = field(
        default_factory=lambda: {VERIFIER: 1.0}
    )
    """Weight of each part; a name alone is the only part. One of weight 0 is logged and does not count."""
    gate: str | None = None
    """`verifier`, or a rule of one's own, that a completion must pass; null lets all pass."""
    gate_threshold: Share = 0.5
    """The gate's score from which a completion passes."""
    floor: Share = 0.0
    """Reward of a completion that the gate refuses."""
    length_penalty: LengthPenalty | None = None
    """What long completions lose; null is nothing."""

    def __post_init__(self) -> None:
        from pipeline.environments.own import is_own

        if not any(self.score.values()):
            raise ValueError("score has no part with a weight above 0, set one such as verifier")
        known = {"score": (VERIFIER, REWARD_MODEL), "gate": (VERIFIER,)}
        for key, names in (("score", tuple(self.score)), ("gate", (self.gate,) if self.gate else ())):
            for name in names:
                if name not in known[key] and not is_own(name):
                    raise ValueError(f"{key} names {name!r}, {nearest(name, known[key])}; or a rule as module:NAME")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are computed, the gate's first, each once."""
        return tuple(dict.fromkeys([*([self.gate] if self.gate else []), *self.score]))

    @property
    def rules(self) -> tuple[str, ...]:
        """The parts that are rules of one's own."""
        return tuple(part for part in self.parts if part not in (VERIFIER, REWARD_MODEL))

    @property
    def is_verdict(self) -> bool:
        """Whether the reward is the verifier's score and nothing else."""
        return self == RewardConfig()
