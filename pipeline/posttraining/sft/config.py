"""Settings of the stage `sft`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from pipeline.core.batching import StepSize
from pipeline.core.config import ResourcesConfig
from pipeline.core.stage_plan import StagePlan
from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import EvalSamplingConfig, TrainingConfig
from pipeline.pretraining.model_config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class TextReplayConfig:
    """Text of the pretraining corpus among the conversations, from the input `tokens`."""

    share: Annotated[float, Field(gt=0, lt=1)]
    """Share of the sequences that are text."""
    mixture: dict[str, NonNegativeFloat] | None
    """Weight of each domain in it; null takes all that fill a sequence, equally."""


@dataclass(frozen=True, kw_only=True)
class SftConfig(TrainingConfig):
    """Supervised fine-tuning on the assistant's turns, and the measurement after it."""

    epochs: PositiveFloat
    """Passes over the training conversations."""
    sequences_per_step: PositiveInt
    """Sequences in one optimizer step, over all ranks."""
    sequences_per_device: PositiveInt
    """Sequences in one forward pass of one rank."""
    max_length: PositiveInt
    """Tokens of a sequence; longer conversations are cut."""
    packing: bool
    """Fill sequences with several conversations, none of which sees another."""
    max_completion_length: PositiveInt
    """Tokens that a sampled reply may take in the measurement."""
    probe: EvalSamplingConfig
    """Prompts and sampled replies of the measurement."""
    problems: ProblemConfig
    """Difficulty of the problems in the measurement, and the assistant's name in them."""
    text_replay: TextReplayConfig | None
    """Text of pretraining among the conversations, so that the model keeps what it knows of it; null: none."""

    @property
    def step_size(self) -> StepSize:
        """What an optimizer step is made of, which the ranks must be able to share."""
        return StepSize(
            "sequences_per_step", self.sequences_per_step, "sequences_per_device", self.sequences_per_device
        )

    def needed_inputs(self) -> dict[str, str]:
        """The inputs that these settings cannot do without, by role, with the reason."""
        return {"tokens": "config.text_replay reads text from it, null does not"} if self.text_replay else {}

    def plan(
        self,
        resources: ResourcesConfig,
        models: Mapping[str, ModelConfig | None],
        upstream: Mapping[str, Mapping[str, Any]],
    ) -> StagePlan:
        """The same, with the most steps that the conversations take, before rules and packing, where it is known."""
        from pipeline.posttraining.common.planned import most_conversations, with_epochs, with_measurement

        planned = super().plan(resources, models, upstream)
        planned = with_measurement(planned, self, resources, models, self.max_completion_length)
        data = upstream.get("data")
        return with_epochs(planned, self, most_conversations(data)) if data else planned
