"""Settings that the stages of post-training share: training, sampling for evaluation, weights of a mixture."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from pipeline.core.batching import StepSize
from pipeline.core.config import Decay, ResourcesConfig, Share
from pipeline.core.saving import SavingConfig
from pipeline.core.stage_plan import StagePlan
from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.pretraining.deepspeed_keys import deepspeed_keys
from pipeline.pretraining.model_config import ModelConfig

BATCH = "it follows from the stage's samples per step and per device and the number of ranks, set these"
PRECISION = "set bf16"
OWNED = {
    "train_batch_size": BATCH,
    "train_micro_batch_size_per_gpu": BATCH,
    "gradient_accumulation_steps": BATCH,
    "managed_gradient_accumulation": BATCH,
    "gradient_clipping": "set max_grad_norm",
    "bf16": PRECISION,
    "bfloat16": PRECISION,
    "fp16": PRECISION,
    "torch_autocast": PRECISION,
    "optimizer": "set learning_rate, weight_decay, adam_beta1 and adam_beta2",
    "scheduler": "set lr_schedule and warmup_fraction",
    "activation_checkpointing": "set gradient_checkpointing",
}
"""DeepSpeed's keys that a trainer's settings decide, with what to set instead."""


Attention = Literal["sdpa", "eager", "flex_attention", "flash_attention_2", "flash_attention_3", "flash_attention_4"]
"""Attention of transformers. To each it gives a mask, or boundaries, by the positions of packed conversations, so that
they are kept apart."""


@dataclass(frozen=True, kw_only=True)
class EvalSamplingConfig:
    """How a model is measured by its replies: held-out prompts, several sampled replies to each."""

    prompts_per_domain: PositiveInt
    """Different held-out prompts of each domain, at most: one with fewer is asked all it has."""
    samples_per_prompt: PositiveInt
    """Sampled replies to each prompt, at temperature 1.0."""
    batch_size: PositiveInt
    """Replies that a rank generates together; it changes nothing but memory, time and rounding."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(SavingConfig):
    """Settings of every trainer of post-training."""

    learning_rate: PositiveFloat
    """Peak learning rate."""
    lr_schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"]
    """Shape of the learning rate after warm-up."""
    warmup_fraction: Share
    """Share of the steps over which the learning rate rises linearly from 0."""
    weight_decay: NonNegativeFloat
    """AdamW's decoupled weight decay."""
    adam_beta1: Decay
    """AdamW's decay of the first moment."""
    adam_beta2: Decay
    """AdamW's decay of the second moment."""
    max_grad_norm: PositiveFloat
    """Global norm that larger gradients are scaled down to."""
    bf16: bool
    """Train in bfloat16 with float32 master weights; false trains in float32."""
    gradient_checkpointing: bool
    """Recompute activations in the backward pass: less memory, about a third more time."""
    attention: Attention
    """Attention implementation of transformers; those of flash need packages and a GPU."""
    log_every_steps: PositiveInt
    """Steps between rows of metrics."""
    deepspeed: Annotated[dict[str, Any], Field(min_length=1), deepspeed_keys(OWNED)]
    """DeepSpeed's own configuration, such as `{zero_optimization: {stage: 1}}`; the rest of it is made of the above."""

    @property
    def zero_stage(self) -> int:
        """ZeRO's stage: what is divided among ranks. 0 nothing, 1 optimizer state, 2 gradients too, 3 weights too."""
        return self.deepspeed.get("zero_optimization", {}).get("stage", 0)

    @property
    def step_size(self) -> StepSize:
        """What an optimizer step is made of, which the ranks must be able to share."""
        raise NotImplementedError

    def plan(
        self,
        resources: ResourcesConfig,
        models: Mapping[str, ModelConfig | None],
        upstream: Mapping[str, Mapping[str, Any]],
    ) -> StagePlan:
        """What `fivephase plan` says of the stage.

        Args:
            resources: ranks, and the memory of their GPUs.
            models: by input, the shape of its model; None for one that is known only once its checkpoint is read.
            upstream: by input, the settings of the stage that makes it.

        Raises:
            ConfigError: for a step that the ranks cannot share, or what does not fit their GPUs.
        """
        from pipeline.posttraining.common.planned import plan_training

        return plan_training(self, resources, models)

    def check_packages(self, stage: str) -> None:
        """Makes sure that this machine has the packages that the settings need.

        Raises:
            ConfigError: for one that is not installed, with the setting of the stage that needs it and the remedy.
        """
        from pipeline.posttraining.common.packages import check_packages

        check_packages(self, stage)


def benchmark_fingerprint(decontamination: PromptDecontamination) -> dict[str, Any]:
    """Name and SHA-256 of each benchmark file that prompts are kept clear of: a part of a stage's fingerprint.

    Raises:
        DataError: for a benchmark whose file is not there.
    """
    from pipeline.curation.decontamination.benchmarks import describe_benchmarks

    return {"benchmarks": describe_benchmarks(decontamination.benchmarks, "decontamination")}


def environment_fingerprint(names: Iterable[str]) -> dict[str, Any]:
    """Hashes of the sources of environments and verifiers of one's own: a part of a stage's fingerprint.

    Empty where all names are built in.

    Raises:
        ConfigError: for one that cannot be loaded.
    """
    from pipeline.environments.own import own_sources

    return {"environments": sources} if (sources := own_sources(names)) else {}


def check_domain_weights(
    weights: dict[str, float], more: tuple[str, ...] = (), others: float = 0.0, key: str = "domain_weights"
) -> None:
    """Checks that a mixture names environments or `more` only, and that weights and `others` are above 0 together.

    Args:
        weights: by name.
        more: further names that may stand there.
        others: sum of weights that stand elsewhere.
        key: of the setting, for the message.

    Raises:
        ValueError: naming the domain at fault, or that no weight is above 0.
    """
    from pipeline.environments.registry import check_names

    try:
        check_names(weights, more)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if not sum(weights.values()) + others > 0:
        raise ValueError(f"{key} gives no domain any weight, set at least one above 0")
