"""Settings of an evaluate stage. Each part may be left out by setting it to null."""

from dataclasses import dataclass, field
from typing import Literal

from pipeline.environments.problem import ProblemConfig

EXCLUDED = {"fingerprint": False}


def _require_positive(settings: object, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}, set 1 or more")


@dataclass(frozen=True, kw_only=True)
class HeldOutLossConfig:
    """Loss per domain on held-out documents, packed as in training."""

    context: int = 4096
    """Tokens in a sequence: that of pretraining, so that it says what short context costs later phases."""
    sequences_per_domain: int = 64
    """Sequences of each domain, fewer where it has fewer."""

    def __post_init__(self) -> None:
        _require_positive(self, "context", "sequences_per_domain")


@dataclass(frozen=True, kw_only=True)
class LongContextConfig:
    """What a model makes of more context than it was pretrained on."""

    beyond: int = 4096
    """The pretraining context: long-range loss is taken at positions from here on."""
    contexts: list[int]
    """Tokens in a window, one measurement each."""
    domains: list[str]
    """Domains with long documents: what windows are cut from, and what needles are hidden in."""
    windows: int = 16
    """Windows of a context, each inside one held-out document."""
    needles: int = 32
    """Needles of a context, at depths spread evenly."""
    value_digits: int = 6
    """Digits of the number to retrieve."""

    def __post_init__(self) -> None:
        _require_positive(self, "beyond", "windows", "needles", "value_digits")
        if not self.contexts or not self.domains:
            raise ValueError("contexts or domains is empty, set at least one each, or the whole part to null")
        if max(self.contexts) <= self.beyond:
            raise ValueError(
                f"contexts {self.contexts} do not reach beyond {self.beyond}, add one that does or set beyond"
            )


@dataclass(frozen=True, kw_only=True)
class AccuracyConfig:
    """Answers to held-out prompts, judged by the environments' verifiers. For chat models."""

    environments: list[str]
    """Domains of `pipeline.environments`."""
    problems_per_environment: int = 256
    """Held-out prompts of each."""
    maximum_new_tokens: int = 1024
    """Tokens of an answer, at most."""
    problems: ProblemConfig = field(default_factory=lambda: ProblemConfig(difficulty=3))
    """Difficulty of the problems, and the name the model is to give."""
    batch_prompts: int = field(default=64, metadata=EXCLUDED)
    """Prompts answered at a time."""
    samples: int = 3
    """Answers to show."""

    def __post_init__(self) -> None:
        _require_positive(self, "problems_per_environment", "maximum_new_tokens", "batch_prompts")
        if not self.environments:
            raise ValueError("environments is empty, set at least one, or accuracy to null")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Evaluation of one checkpoint."""

    loss: HeldOutLossConfig | None = None
    """Loss per domain."""
    long_context: LongContextConfig | None = None
    """Long-range loss and needle retrieval."""
    accuracy: AccuracyConfig | None = None
    """Verified answers."""
    headline: str
    """Metric for the summary, e.g. `loss/mean`, `long_range_loss/131072`, `accuracy/mean`."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Arithmetic of the forward pass."""
    attention: Literal["sdpa", "flash_attention_2"] = field(default="sdpa", metadata=EXCLUDED)
    """Kernel. `flash_attention_2` needs the flash-attn package and a GPU."""
    batch_tokens: int = field(default=65_536, metadata=EXCLUDED)
    """Tokens in one forward pass of the loss; a single longer window is a pass of its own."""
    loss_chunk_tokens: int = field(default=4096, metadata=EXCLUDED)
    """Tokens whose logits are in memory at a time."""

    def __post_init__(self) -> None:
        _require_positive(self, "batch_tokens", "loss_chunk_tokens")
        if self.loss is None and self.long_context is None and self.accuracy is None:
            raise ValueError("loss, long_context and accuracy are all null, set one")
