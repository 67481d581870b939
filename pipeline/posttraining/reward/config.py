"""Settings of the stage `reward_model`, which trains what rewards chat in RL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from pipeline.core.batching import StepSize
from pipeline.core.config import ResourcesConfig, Share
from pipeline.core.stage_plan import StagePlan
from pipeline.posttraining.common.config import TrainingConfig
from pipeline.pretraining.model_config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig(TrainingConfig):
    """Training of a scalar reward model on preference pairs, with the Bradley-Terry loss."""

    adam_beta1: Share = 0.9
    """AdamW's decay of the first moment; PyTorch's default."""
    adam_beta2: Share = 0.999
    """AdamW's decay of the second moment; PyTorch's default."""
    epochs: PositiveFloat
    """Passes over the pairs."""
    pairs_per_step: PositiveInt
    """Pairs in one optimizer step, over all ranks."""
    pairs_per_device: PositiveInt
    """Pairs in one forward pass of one rank."""
    max_length: PositiveInt
    """Tokens of prompt and reply; longer pairs are left out."""
    center_rewards_coefficient: NonNegativeFloat | None
    """Weight of the penalty that keeps a pair's rewards centered on 0 (Eisenstein et al. 2023, arXiv 2312.09244); null
    is none."""

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
        from pipeline.posttraining.common.planned import with_epochs

        planned = super().plan(resources, models, upstream)
        if not (data := upstream.get("data")):
            return planned
        return with_epochs(planned, self, data["preference_pairs"], files=bool(data["preference_files"]))
