"""Settings of a pretraining phase."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from pipeline.core.batching import micro_batches_per_step
from pipeline.core.config import Decay, Share
from pipeline.core.errors import ConfigError
from pipeline.core.saving import SavingConfig
from pipeline.pretraining.deepspeed_keys import deepspeed_keys
from pipeline.pretraining.model_config import CheckpointShape, ModelConfig

EXCLUDED = {"fingerprint": False}
BATCH = "it follows from sequences_per_step, sequences_per_rank and the number of ranks, set these"
PRECISION = "set precision"
OWNED = {
    "train_batch_size": BATCH,
    "train_micro_batch_size_per_gpu": BATCH,
    "gradient_accumulation_steps": BATCH,
    "managed_gradient_accumulation": BATCH,
    "gradient_clipping": "set optimizer.gradient_clipping",
    "bf16": PRECISION,
    "bfloat16": PRECISION,
    "fp16": PRECISION,
    "torch_autocast": PRECISION,
    "optimizer": "set optimizer",
    "scheduler": "set learning_rate",
    "activation_checkpointing": "set gradient_checkpointing",
    "compile": "set compile",
    "sequence_parallel_size": "set sequence_parallel",
}
"""DeepSpeed's keys that a phase sets itself, with what to set instead."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate changes over a phase, as a function of tokens."""

    law: Literal["power", "exponential", "linear", "constant"]
    """Shape of the curve; `power` is β·a·n^b after n tokens in batches of β sequences, with a cap (Shen et al. 2024,
    arXiv 2408.13359; Granite 3.0 report, eq. 9)."""
    start: NonNegativeFloat | None = None
    """Learning rate at the beginning of the phase; null continues where the phase before ended."""
    end_ratio: Share = 0.0
    """Exponential and linear: the rate at the end, relative to the start."""
    scale: PositiveFloat | None = None
    """Power alone: the factor a."""
    exponent: float | None = None
    """Power alone: the exponent b."""
    maximum: PositiveFloat | None = None
    """Power alone: the cap η_max."""
    warmup_tokens: NonNegativeInt = 0
    """Tokens of linear warm-up, counted from the beginning of phase 1 for `power`, of the phase otherwise."""

    def __post_init__(self) -> None:
        if self.law == "power" and self.start is not None:
            raise ValueError("start has no meaning for the power law, set scale, exponent and maximum")
        for name in ("scale", "exponent", "maximum"):
            if self.law == "power" and getattr(self, name) is None:
                raise ValueError(f"law=power needs {name}, set it")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW; betas and weight decay from the Granite 3.0 report, epsilon from IBM's public configurations."""

    betas: tuple[Decay, Decay] = (0.9, 0.95)
    """Decay of the first and second moment."""
    epsilon: NonNegativeFloat = 1e-10
    """Added to the root of the second moment."""
    weight_decay: NonNegativeFloat = 0.1
    """Decoupled weight decay of matrices; norms have none."""
    gradient_clipping: NonNegativeFloat = 1.0
    """Global norm that larger gradients are scaled down to."""


@dataclass(frozen=True, kw_only=True)
class SkipConfig:
    """Which steps are not taken: outliers. A step whose loss or gradients are not finite is never taken."""

    sigmas: PositiveFloat | None = 6.0
    """Standard deviations above the mean from which loss or gradient norm is an outlier (OLMo-core: 6); null: none."""
    window: Annotated[int, Field(ge=4)] = 128
    """Steps that mean and deviation are taken over, from half of them on (OLMo-core: 128)."""
    maximum_in_a_row: PositiveInt = 10
    """Skipped steps in a row that end the phase with an error."""


@dataclass(frozen=True, kw_only=True)
class FillInTheMiddleConfig:
    """Parts of documents that are rearranged (Bavarian et al. 2022, arXiv 2207.14255)."""

    rate: Share
    """Share of the parts of sequences; a part is what a sequence has of one document."""
    domains: tuple[str, ...]
    """Domains it is done to, of those that the mixture names."""
    spm_share: Share = 0.5
    """Share of them in the order suffix, prefix, middle; the others are prefix, suffix, middle (half in the paper)."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Held-out loss, at the beginning and the end of a phase and in between."""

    sequences_per_domain: PositiveInt = 64
    """Sequences of each domain, fewer where it has fewer."""
    every_steps: PositiveInt | None = field(default=None, metadata=EXCLUDED)
    """Steps between measurements; null: only at both ends."""


@dataclass(frozen=True, kw_only=True)
class MergeConfig:
    """The models between a phase's and the one before it, of which the held-out loss chooses one."""

    methods: Annotated[tuple[Literal["average", "slerp"], ...], Field(min_length=1)] = ("average", "slerp")
    """How two models are combined: `average`, or `slerp` along the arc between both."""
    weights: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
    """Weights of this phase's model to try with each method."""
    short_loss_tolerance: NonNegativeFloat = 0.01
    """Share by which the loss below the context before may be above that of the model before."""


@dataclass(frozen=True, kw_only=True)
class PhaseConfig(SavingConfig):
    """One phase of pretraining: its model, tokens, mixture, learning rate, and how its ranks train."""

    model: ModelConfig | None
    """Shape of the model; it must be that of the checkpoint continued from. Null takes what that has."""
    tokens: PositiveInt
    """Tokens of this phase, rounded up to whole steps."""
    context: PositiveInt
    """Tokens in a sequence."""
    rope_theta: PositiveFloat | None
    """Base of the rotary position embedding; long-context phases raise it. Null keeps that of the checkpoint, where its
    shape is taken too."""
    sequences_per_step: PositiveInt
    """Sequences in an optimizer step, over all ranks."""
    sequences_per_rank: PositiveInt = field(metadata=EXCLUDED)
    """Sequences in a micro-batch of one rank; what is missing to a step is accumulated."""
    mixture: Annotated[dict[str, NonNegativeFloat], Field(min_length=1)]
    """Weight of each domain; the weights need not sum to anything, and 0 leaves a domain out."""
    max_epochs: PositiveFloat
    """How often a domain may be seen in this phase before the mixture is refused."""
    learning_rate: ScheduleConfig
    """Learning rate over this phase."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Settings of AdamW."""
    skip: SkipConfig = field(default_factory=SkipConfig)
    """Which steps are not taken."""
    z_loss: NonNegativeFloat = 0.0
    """Weight of the squared logarithm of the softmax's sum, which keeps logits from drifting (PaLM: 1e-4)."""
    fill_in_the_middle: FillInTheMiddleConfig | None = None
    """Which parts of documents are rearranged; null: none."""
    merge: MergeConfig | None = None
    """How this phase's model is merged with the one before it; null: not at all."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    """Measurement of the held-out loss."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Arithmetic of forward and backward; weights and moments of the optimizer are fp32."""
    gradient_checkpointing: bool = field(default=False, metadata=EXCLUDED)
    """Recompute activations in the backward pass: less memory, about a third more work."""
    attention: Literal["sdpa", "flex_attention"] = field(default="flex_attention", metadata=EXCLUDED)
    """Kernel; both keep attention inside documents, `sdpa` with a dense mask, for CPU and short contexts."""
    sequence_parallel: PositiveInt = field(default=1, metadata=EXCLUDED)
    """Ranks that divide each sequence (Ulysses, arXiv 2309.14509); a divisor of key_value_heads and context."""
    mlp_tiles: PositiveInt = field(default=1, metadata=EXCLUDED)
    """Parts that a sequence passes the MLP in, computed again in the backward pass: less memory at long context."""
    loss_chunk_tokens: PositiveInt = field(default=1024, metadata=EXCLUDED)
    """Tokens whose logits are in memory at a time."""
    compile: bool = field(default=False, metadata=EXCLUDED)
    """Compile each layer with torch.compile: faster steps after a start of minutes; needs a C++ compiler on CPU."""
    keep_checkpoints: PositiveInt = field(default=2, metadata=EXCLUDED)
    """Newest resumable checkpoints that are kept."""
    keep_every_steps: PositiveInt | None = field(default=None, metadata=EXCLUDED)
    """Resumable checkpoints at multiples of this stay as long as the phase lasts; null: none."""
    checkpoint_staging: str | None = field(default=None, metadata=EXCLUDED)
    """Fast folder of each node, as in /dev/shm, that checkpoints are written to and copied from while training goes
    on; null writes them in place."""
    log_every_steps: PositiveInt = field(default=10, metadata=EXCLUDED)
    """Steps between records of the tracker."""
    peak_flops: PositiveFloat | None = field(default=None, metadata=EXCLUDED)
    """Dense FLOP/s of a rank's hardware, to report utilization; null looks a known GPU up and else reports none."""
    deepspeed: Annotated[dict[str, Any], deepspeed_keys(OWNED)]
    """DeepSpeed's own configuration; batch sizes, precision, clipping and optimizer are those above."""

    def needed_inputs(self) -> dict[str, str]:
        """The inputs that these settings cannot do without, by role, with the reason."""
        if self.model is None:
            return {"model": "config.model=null takes the shape of a checkpoint"}
        return {"model": "config.merge merges with the model before"} if self.merge is not None else {}

    def __post_init__(self) -> None:
        if self.zero_stage == 0 and self.precision == "bf16":
            raise ValueError(
                "DeepSpeed accumulates bf16 gradients in fp32 with ZeRO only: set "
                "deepspeed.zero_optimization.stage to 1, 2 or 3, or precision to fp32"
            )
        if self.sequences_per_step % self.sequences_per_rank:
            raise ValueError(
                f"sequences_per_step {self.sequences_per_step} is no multiple of "
                f"sequences_per_rank {self.sequences_per_rank}, set one that is"
            )
        if self.model is not None:
            self._check_shape(self.model)
        if sum(self.mixture.values()) <= 0:
            raise ValueError("the weights of mixture sum to 0, raise one")

    def _check_shape(self, shape: ModelConfig) -> None:
        """Checks the settings that depend on the model's shape."""
        if self.mlp_tiles > 1 and shape.experts:
            raise ValueError("mlp_tiles is for dense models, set it to 1")
        for name, value in (("model.key_value_heads", shape.key_value_heads), ("context", self.context)):
            if value % self.sequence_parallel:
                raise ValueError(
                    f"sequence_parallel is {self.sequence_parallel}, set it to a divisor of {name}, which is {value}"
                )
        if self.rope_theta is None:
            if not isinstance(shape, CheckpointShape):
                raise ValueError("rope_theta is null, which takes a checkpoint's with its shape: set model to null too")
            return
        size = shape.head_size
        longest = 2 * math.pi * self.rope_theta ** ((size - 2) / size)
        if longest < self.context:
            raise ValueError(
                f"context is {self.context:,}, but with rope_theta {self.rope_theta:,.0f} positions repeat after "
                f"{longest:,.0f} tokens in every dimension of a head; raise rope_theta"
            )

    @property
    def shape(self) -> ModelConfig:
        """The model's shape. Where `model` is null it is known once the phase has read its checkpoint."""
        assert self.model is not None
        return self.model

    @property
    def zero_stage(self) -> int:
        """ZeRO's stage: what is divided among ranks. 0 nothing, 1 optimizer state, 2 gradients too, 3 weights too."""
        return self.deepspeed.get("zero_optimization", {}).get("stage", 0)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that an optimizer step trains on, over all ranks."""
        return self.sequences_per_step * self.context

    @property
    def steps(self) -> int:
        """Optimizer steps of the phase: those that `tokens` fill, the last one rounded up."""
        return -(-self.tokens // self.tokens_per_step)

    @property
    def domains(self) -> dict[str, float]:
        """The share of each domain in the phase's tokens; those of weight 0 are left out."""
        total = sum(self.mixture.values())
        return {domain: weight / total for domain, weight in self.mixture.items() if weight > 0}

    @property
    def rearranged_domains(self) -> list[str]:
        """The domains of the mixture that `fill_in_the_middle` is done to."""
        named = self.fill_in_the_middle.domains if self.fill_in_the_middle is not None else ()
        return [domain for domain in named if domain in self.domains]


def accumulation_steps(phase: PhaseConfig, world_size: int) -> int:
    """How many micro-batches each rank accumulates gradients over in an optimizer step.

    Args:
        phase: its settings.
        world_size: number of ranks; `sequence_parallel` of them share a micro-batch.

    Raises:
        ConfigError: if a step's sequences do not divide among the ranks, with the numbers.
    """
    groups, rest = divmod(world_size, phase.sequence_parallel)
    if rest:
        raise ConfigError(
            f"sequence_parallel={phase.sequence_parallel} does not divide {world_size} ranks, set a divisor of them"
        )
    return micro_batches_per_step(
        step_key="sequences_per_step",
        per_step=phase.sequences_per_step,
        micro_batch_key="sequences_per_rank",
        micro_batch=phase.sequences_per_rank,
        sharers=groups,
        unit="ranks" if phase.sequence_parallel == 1 else f"groups of {phase.sequence_parallel} ranks",
    )
