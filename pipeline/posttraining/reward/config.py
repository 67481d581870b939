"""Settings of the stage `reward_model`, which trains what rewards chat in RL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from pipeline.core.batching import StepSize
from pipeline.core.config import Decay, ResourcesConfig, Share
from pipeline.core.stage_plan import StagePlan
from pipeline.posttraining.common.config import TrainingConfig
from pipeline.pretraining.model_config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How replies of the model that training starts from are sampled, at temperature 1.0."""

    max_completion_length: PositiveInt
    """Tokens of a reply, at most."""
    batch_size: PositiveInt
    """Replies that a rank generates together."""


@dataclass(frozen=True, kw_only=True)
class OnPolicyConfig:
    """Rejected replies that the start model itself gave, as a verifier found them wrong."""

    share: Share
    """Share of the pairs, of those whose prompts a verifier knows, that are given one; 0 samples nothing."""
    samples_per_prompt: PositiveInt
    """Replies among which a wrong one is looked for; a pair without one stays as it is."""


@dataclass(frozen=True, kw_only=True)
class BestOfNConfig:
    """The check of the trained model on replies of the start model: is the one it picks better than the mean?"""

    domains: tuple[str, ...]
    """Domains whose held-out prompts are asked, of those that the pairs have; empty checks nothing."""
    prompts_per_domain: PositiveInt
    """Held-out prompts of each domain, at most."""
    samples_per_prompt: Annotated[int, Field(ge=2)]
    """Replies of which it picks one."""


@dataclass(frozen=True, kw_only=True)
class RewardGateConfig:
    """What a reward model must be able to do before RL follows it."""

    kind_accuracy: Share
    """Pairwise accuracy that each kind of rejection must reach on held-out pairs."""
    action: Literal["warn", "stop"]
    """What follows if it does not, or if best-of-n picks worse replies than the mean, beyond noise: a warning in the
    log, or the end of the stage before it is published."""


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig(TrainingConfig):
    """Training of a scalar reward model on preference pairs, with the Bradley-Terry loss."""

    adam_beta1: Decay = 0.9
    """AdamW's decay of the first moment; PyTorch's default."""
    adam_beta2: Decay = 0.999
    """AdamW's decay of the second moment; PyTorch's default."""
    epochs: PositiveFloat
    """Passes over the pairs."""
    pairs_per_step: PositiveInt
    """Pairs in one optimizer step, over all ranks."""
    pairs_per_device: PositiveInt
    """Pairs in one forward pass of one rank."""
    max_length: PositiveInt
    """Tokens of prompt and reply; longer pairs are left out, counted and listed in `too_long.jsonl`."""
    center_rewards_coefficient: NonNegativeFloat | None
    """Weight of the penalty that keeps a pair's rewards centered on 0 (Eisenstein et al. 2023, arXiv 2312.09244); null
    is none."""

    on_policy: OnPolicyConfig
    """Wrong replies of the start model in the pairs."""
    best_of_n: BestOfNConfig
    """What is checked before RL."""
    sampling: SamplingConfig
    """How replies are sampled for both."""
    gate: RewardGateConfig = field(metadata={"fingerprint": False})
    """What the reward model must be able to do."""

    @property
    def step_size(self) -> StepSize:
        """What an optimizer step is made of, which the ranks must be able to share."""
        return StepSize("pairs_per_step", self.pairs_per_step, "pairs_per_device", self.pairs_per_device)

    def plan(
        self,
        resources: ResourcesConfig,
        models: Mapping[str, ModelConfig | None],
        upstream: Mapping[str, Mapping[str, Any]],
    ) -> StagePlan:
        """The same, with the most steps that the built-in pairs take, before too long ones are left out."""
        from pipeline.posttraining.common.planned import most_pairs, with_epochs

        planned = super().plan(resources, models, upstream)
        data = upstream.get("data")
        return with_epochs(planned, self, most_pairs(data)) if data else planned
