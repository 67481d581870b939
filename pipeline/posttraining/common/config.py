"""pipeline/posttraining/common/config.py"""

from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.curation.recipes.steps.contamination import PromptDecontamination


def _positive(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if value is not None and value <= 0:
            raise ValueError(f"{name} is {value}, set it above 0")


def _share(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}, set a share between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class EvalSamplingConfig:
    """The measurement before and after a stage: held-out prompts, several sampled replies to each."""

    prompts_per_domain: int = 64
    """Held-out prompts of each domain."""
    samples_per_prompt: int = 4
    """Sampled replies to each prompt, at temperature 1.0."""
    batch_size: int = 256
    """Replies generated together, per rank. It changes which random numbers a reply gets."""

    def __post_init__(self) -> None:
        _positive(self, "prompts_per_domain", "samples_per_prompt", "batch_size")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every trainer of post-training takes."""

    learning_rate: float
    """Peak learning rate."""
    lr_schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "linear"
    """Shape of the learning rate after warm-up."""
    warmup_fraction: float = 0.0
    """Share of the steps over which the learning rate rises linearly from 0."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
    adam_beta1: float = 0.9
    """AdamW's decay of the first moment."""
    adam_beta2: float = 0.999
    """AdamW's decay of the second moment."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    bf16: bool = True
    """Train in bfloat16 with float32 master weights; false trains in float32."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass: less memory, about a third more time."""
    attention: str = "sdpa"
    """Attention implementation of transformers: sdpa, flash_attention_2, ..."""
    save_every_steps: int = 100
    """Steps between resumable checkpoints."""
    log_every_steps: int = 1
    """Steps between rows of metrics."""
    deepspeed: dict[str, Any] = field(default_factory=dict)
    """DeepSpeed's own configuration; `auto` takes the value from here."""

    def __post_init__(self) -> None:
        _positive(self, "learning_rate", "max_grad_norm", "save_every_steps", "log_every_steps")
        _share(self, "warmup_fraction", "adam_beta1", "adam_beta2")
        if not self.deepspeed:
            raise ValueError("deepspeed is empty, set DeepSpeed's configuration, e.g. {zero_optimization: {stage: 1}}")


def benchmark_content(decontamination: PromptDecontamination) -> dict[str, Any]:
    """What identifies the data of the benchmarks of a setting."""
    from pipeline.curation.decontamination.benchmarks import describe_benchmarks

    return {"benchmarks": describe_benchmarks(decontamination.benchmarks, "decontamination")}


def check_weights(weights: dict[str, float], known: tuple[str, ...]) -> None:
    """Raises ValueError when a mixture names an unknown domain, or weighs none above 0."""
    for domain, weight in weights.items():
        if domain not in known:
            raise ValueError(f"domain_weights names {domain!r}, set weights of {', '.join(known)}")
        if weight < 0:
            raise ValueError(f"domain_weights.{domain} is {weight}, set it to 0 or more")
    if not sum(weights.values()) > 0:
        raise ValueError("domain_weights gives no domain any weight, set at least one above 0")
