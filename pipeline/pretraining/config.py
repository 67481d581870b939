"""Settings of a pretraining phase."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.core.batching import micro_batches_per_step
from pipeline.core.errors import ConfigError
from pipeline.pretraining.model_config import ModelConfig

EXCLUDED = {"fingerprint": False}


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate changes over a phase, as a function of tokens."""

    law: Literal["power", "exponential", "linear", "constant"]
    """`power` (Shen et al. 2024, arXiv 2408.13359), `exponential`, `linear` or `constant`."""
    start: float | None = None
    """Learning rate at the beginning of the phase; null continues where the phase before ended."""
    end_ratio: float = 0.0
    """Exponential and linear: the rate at the end, relative to the start."""
    scale: float = 4.0
    """Power: a in β·a·n^b (Granite 3.0 report, eq. 9: 4)."""
    exponent: float = -0.51
    """Power: b in β·a·n^b (Granite 3.0 report, eq. 9: −0.51)."""
    maximum: float = 0.02
    """Power: the cap η_max (Granite 3.0 report: 0.02)."""
    warmup_tokens: int = 0
    """Tokens of linear warm-up, counted from the beginning of phase 1 for `power`, of the phase otherwise."""

    def __post_init__(self) -> None:
        if not 0 <= self.end_ratio <= 1:
            raise ValueError(f"end_ratio is {self.end_ratio}, set a value from 0 to 1")
        if self.law == "power" and self.start is not None:
            raise ValueError("start has no meaning for the power law, set scale, exponent and maximum")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW. Granite 3.0 report: betas 0.9 and 0.95, weight decay 0.1; IBM's public configurations: eps 1e-10."""

    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the first and second moment."""
    epsilon: float = 1e-10
    """Added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices; norms have none."""
    gradient_clipping: float = 1.0
    """Largest global gradient norm."""


@dataclass(frozen=True, kw_only=True)
class SkipConfig:
    """Steps that are not taken. One whose loss or gradients are not finite never is."""

    sigmas: float | None = 6.0
    """Standard deviations above the mean from which loss or gradient norm is an outlier (OLMo-core: 6); null: none."""
    window: int = 128
    """Steps that mean and deviation are taken over, from half of them on (OLMo-core: 128)."""
    maximum_in_a_row: int = 10
    """Skipped steps in a row that end the phase with an error."""

    def __post_init__(self) -> None:
        if self.sigmas is not None and self.sigmas <= 0:
            raise ValueError(f"sigmas is {self.sigmas}, set it above 0 or to null")
        for name, least in (("window", 4), ("maximum_in_a_row", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, set {least} or more")


@dataclass(frozen=True, kw_only=True)
class FillInTheMiddleConfig:
    """Parts of documents that are rearranged (Bavarian et al. 2022, arXiv 2207.14255)."""

    rate: float
    """Share of the parts of sequences; a part is what a sequence has of one document."""
    domains: tuple[str, ...] = ("code",)
    """Domains it is done to."""
    spm_share: float = 0.5
    """Share of them in the order suffix, prefix, middle; the others are prefix, suffix, middle (half in the paper)."""

    def __post_init__(self) -> None:
        for name in ("rate", "spm_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, set a value from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Held-out loss, at the beginning and the end of a phase and in between."""

    sequences_per_domain: int = 64
    """Sequences of each domain, fewer where it has fewer."""
    every_steps: int | None = field(default=None, metadata=EXCLUDED)
    """Steps between measurements; null: only at both ends."""

    def __post_init__(self) -> None:
        if self.sequences_per_domain < 1 or (self.every_steps is not None and self.every_steps < 1):
            raise ValueError("sequences_per_domain and every_steps are 1 or more, or every_steps null")


@dataclass(frozen=True, kw_only=True)
class MergeConfig:
    """The models between a phase's and the one before it, of which the held-out loss chooses one."""

    methods: tuple[Literal["average", "slerp"], ...] = ("average", "slerp")
    """`average`, or `slerp` along the arc between both."""
    weights: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    """Weights of this phase's model to try with each method."""
    short_loss_tolerance: float = 0.01
    """Share by which the loss below the context before may be above that of the model before."""

    def __post_init__(self) -> None:
        if not self.methods or not self.weights or not all(0 < weight <= 1 for weight in self.weights):
            raise ValueError("merge needs methods, and weights above 0 and up to 1")
        if self.short_loss_tolerance < 0:
            raise ValueError(f"short_loss_tolerance is {self.short_loss_tolerance}, set 0 or more")


@dataclass(frozen=True, kw_only=True)
class PhaseConfig:
    """One phase of pretraining."""

    model: ModelConfig
    """Shape. It must be that of the checkpoint continued from."""
    tokens: int
    """Tokens of this phase, rounded up to whole steps."""
    context: int = 4096
    """Tokens in a sequence."""
    rope_theta: float = 10_000.0
    """Base of the rotary position embedding; long-context phases raise it."""
    sequences_per_step: int
    """Sequences in an optimizer step, over all ranks."""
    sequences_per_rank: int = field(default=1, metadata=EXCLUDED)
    """Sequences in a micro-batch of one rank; what is missing to a step is accumulated."""
    mixture: dict[str, float]
    """Domain to weight; the weights need not sum to anything."""
    max_epochs: float = 4.0
    """How often a domain may be seen in this phase before the mixture is refused (Muennighoff et al. 2023: 4)."""
    learning_rate: ScheduleConfig
    """The law of this phase."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW."""
    skip: SkipConfig = field(default_factory=SkipConfig)
    """Steps that are not taken."""
    z_loss: float = 0.0
    """Weight of the squared logarithm of the softmax's sum, which keeps logits from drifting (PaLM: 1e-4)."""
    fill_in_the_middle: FillInTheMiddleConfig | None = None
    """Rearranged code; null: none."""
    merge: MergeConfig | None = None
    """How this phase's model is merged with the one before it; null: not at all."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    """Held-out loss."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Arithmetic of forward and backward; weights and moments of the optimizer are fp32."""
    gradient_checkpointing: bool = field(default=False, metadata=EXCLUDED)
    """Recompute activations in the backward pass: less memory, about a third more work."""
    attention: Literal["sdpa", "flex_attention"] = field(default="flex_attention", metadata=EXCLUDED)
    """Kernel. Both keep attention inside documents; `sdpa` builds a dense mask, for CPU and short contexts."""
    sequence_parallel: int = field(default=1, metadata=EXCLUDED)
    """Ranks that divide each sequence (Ulysses); it must divide key_value_heads and context."""
    mlp_tiles: int = field(default=1, metadata=EXCLUDED)
    """Parts that a sequence passes the MLP in, computed again in the backward pass: less memory at long context."""
    loss_chunk_tokens: int = field(default=1024, metadata=EXCLUDED)
    """Tokens whose logits are in memory at a time."""
    compile: bool = field(default=False, metadata=EXCLUDED)
    """Compile each block with torch.compile: faster steps after a start of minutes. Needs a C++ compiler on CPU."""
    save_every_steps: int = field(default=1000, metadata=EXCLUDED)
    """Steps between resumable checkpoints."""
    keep_checkpoints: int = field(default=2, metadata=EXCLUDED)
    """Newest resumable checkpoints that are kept."""
    keep_every_steps: int | None = field(default=None, metadata=EXCLUDED)
    """Resumable checkpoints at multiples of this stay as long as the phase lasts; null: none."""
    checkpoint_staging: str | None = field(default=None, metadata=EXCLUDED)
    """Fast folder of each node, as in /dev/shm: checkpoints are written there and copied while training goes on."""
    log_every_steps: int = field(default=10, metadata=EXCLUDED)
    """Steps between records of the tracker."""
    peak_flops: float | None = field(default=None, metadata=EXCLUDED)
    """Dense FLOP/s of a rank's hardware, to report utilization; null looks a known GPU up and else reports none."""
    deepspeed: dict[str, Any] = field(default_factory=lambda: {"zero_optimization": {"stage": 1}})
    """DeepSpeed's own configuration; batch sizes, precision and clipping are filled in from above."""

    def __post_init__(self) -> None:
        for name in (
            "tokens", "context", "sequences_per_step", "sequences_per_rank", "save_every_steps", "keep_checkpoints",
            "keep_every_steps", "sequence_parallel", "mlp_tiles",
        ):  # fmt: skip
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}, set 1 or more")
        if self.zero_stage == 0 and self.precision == "bf16":
            raise ValueError(
                "DeepSpeed accumulates bf16 gradients in fp32 with ZeRO only: set "
                "deepspeed.zero_optimization.stage to 1, 2 or 3, or precision to fp32"
            )
        if self.mlp_tiles > 1 and self.model.experts:
            raise ValueError("mlp_tiles is for dense models, set it to 1")
        if self.z_loss < 0:
            raise ValueError(f"z_loss is {self.z_loss}, set 0 or more")
        if self.peak_flops is not None and self.peak_flops <= 0:
            raise ValueError(f"peak_flops is {self.peak_flops}, set it above 0 or to null")
        if self.sequences_per_step % self.sequences_per_rank:
            raise ValueError(
                f"sequences_per_step {self.sequences_per_step} is no multiple of "
                f"sequences_per_rank {self.sequences_per_rank}, set one that is"
            )
        if self.fill_in_the_middle is not None and not set(self.fill_in_the_middle.domains) <= self.mixture.keys():
            named = ", ".join(sorted(set(self.fill_in_the_middle.domains) - self.mixture.keys()))
            raise ValueError(f"fill_in_the_middle.domains names {named}, which mixture does not have")
        for name, value in (("model.key_value_heads", self.model.key_value_heads), ("context", self.context)):
            if value % self.sequence_parallel:
                raise ValueError(
                    f"sequence_parallel is {self.sequence_parallel}, set it to a divisor of {name}, which is {value}"
                )
        size = self.model.head_size
        longest = 2 * math.pi * self.rope_theta ** ((size - 2) / size)
        if longest < self.context:
            raise ValueError(
                f"context is {self.context:,}, but with rope_theta {self.rope_theta:,.0f} positions repeat after "
                f"{longest:,.0f} tokens in every dimension of a head; raise rope_theta"
            )
        if not self.mixture or any(weight < 0 for weight in self.mixture.values()):
            raise ValueError("mixture needs at least one domain and no negative weight")
        if sum(self.mixture.values()) <= 0:
            raise ValueError("the weights of mixture sum to 0, raise one")

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
