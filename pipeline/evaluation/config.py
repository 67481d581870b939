"""Settings of the stages `evaluate_*`. Each of the three parts may be left out by setting it to null."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from pipeline.environments.problem import ProblemConfig

EXCLUDED = {"fingerprint": False}


@dataclass(frozen=True, kw_only=True)
class HeldOutLossConfig:
    """Loss per domain on held-out documents, packed as in training."""

    context: PositiveInt
    """Tokens in a sequence: that of pretraining, so that it says what short context costs later phases."""
    sequences_per_domain: PositiveInt
    """Sequences of each domain, fewer where it has fewer."""


@dataclass(frozen=True, kw_only=True)
class LongContextConfig:
    """What a model makes of more context than it was pretrained on."""

    beyond: PositiveInt
    """The pretraining context in tokens: long-range loss is taken at positions from here on."""
    contexts: Annotated[list[PositiveInt], Field(min_length=1)]
    """Tokens in a window, one measurement each."""
    domains: Annotated[list[str], Field(min_length=1)]
    """Domains with long documents: what windows are cut from, and what needles are hidden in. In a configuration, null
    stands for the mixture of the phase with the longest context."""
    windows: PositiveInt
    """Windows of a context, each inside one held-out document."""
    needles: PositiveInt
    """Needles of a context, at depths spread evenly."""
    value_digits: PositiveInt
    """Digits of the number to retrieve."""

    def __post_init__(self) -> None:
        if max(self.contexts) <= self.beyond:
            raise ValueError(
                f"contexts {self.contexts} do not reach beyond {self.beyond}, add one that does or set beyond"
            )


@dataclass(frozen=True, kw_only=True)
class AccuracyConfig:
    """Answers of a chat model to held-out prompts, judged by the environments' verifiers."""

    environments: Annotated[list[str], Field(min_length=1)]
    """Domains of `pipeline.environments`, or `module:ENVIRONMENT`."""
    problems_per_environment: PositiveInt
    """Held-out prompts of each environment."""
    maximum_new_tokens: PositiveInt
    """Tokens of an answer, at most."""
    problems: ProblemConfig
    """Difficulty of the problems, and the assistant's name in them."""
    batch_prompts: PositiveInt = field(metadata=EXCLUDED)
    """Prompts answered at a time."""
    samples: NonNegativeInt = 3
    """Answers to show in the report."""

    def __post_init__(self) -> None:
        from pipeline.environments.registry import check_names

        try:
            check_names(self.environments)
        except ValueError as error:
            raise ValueError(f"environments: {error}") from None


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What is measured of a checkpoint, and how the model runs meanwhile."""

    loss: HeldOutLossConfig | None
    """Loss per domain; null: not measured."""
    long_context: LongContextConfig | None = None
    """Long-range loss and needle retrieval; null: not measured."""
    accuracy: AccuracyConfig | None = None
    """Verified answers; null: not measured."""
    headline: str
    """Metric for the summary, such as `loss/mean`, `long_range_loss/131072` or `accuracy/mean`."""
    precision: Literal["fp32", "bf16"]
    """Arithmetic of the forward pass."""
    attention: Literal["sdpa", "flash_attention_2"] = field(metadata=EXCLUDED)
    """Attention kernel; `flash_attention_2` needs the flash-attn package and a GPU."""
    batch_tokens: PositiveInt = field(metadata=EXCLUDED)
    """Tokens in one forward pass of the loss; a single longer window is a pass of its own."""
    loss_chunk_tokens: PositiveInt = field(default=4096, metadata=EXCLUDED)
    """Tokens whose logits are in memory at a time."""

    def data_fingerprint(self) -> dict[str, Any] | None:
        """Hashes of the sources of environments of one's own; None without such."""
        from pipeline.environments.own import own_sources

        return (own_sources(self.accuracy.environments) if self.accuracy else None) or None

    def needed_inputs(self) -> dict[str, str]:
        """The inputs that these settings cannot do without, by role, with the reason."""
        parts = [key for key in ("loss", "long_context") if getattr(self, key) is not None]
        return {"tokens": f"config.{' and '.join(parts)} is measured on tokens, null is not"} if parts else {}

    def __post_init__(self) -> None:
        if self.loss is None and self.long_context is None and self.accuracy is None:
            raise ValueError("loss, long_context and accuracy are all null, set one")
