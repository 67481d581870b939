"""What differs between architectures of language models: all code that asks which one a model is stands here.

Everything else works with any decoder of transformers that has `layers` and a linear output layer. A model is known by
its configuration's `model_type`.
"""

from dataclasses import dataclass
from typing import Any

from transformers import AutoModelForSequenceClassification, GraniteConfig, PreTrainedConfig
from transformers.modeling_layers import GenericForSequenceClassification
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.models.granite.modeling_granite import GranitePreTrainedModel

from pipeline.core.errors import CheckpointError
from pipeline.pretraining.model_config import CheckpointShape

GRANITE = ("granite", "granitemoe")
"""Trained under µP, with multipliers of embeddings, residuals, attention and logits."""
PLAIN = ("llama", "mistral", "qwen2", "qwen3")
"""Trained with one learning rate for all weights, no multipliers."""
PHASES_TRAIN = (*GRANITE, *PLAIN)
"""Architectures that phases of pretraining can continue. Post-training and evaluation take others too."""


@dataclass(frozen=True)
class Experts:
    """How the router of a mixture of experts is trained."""

    per_token: int
    """Experts that a token passes."""
    router_loss: float
    """Weight of the loss that keeps experts equally busy."""


def experts_of(config: PreTrainedConfig) -> Experts | None:
    """The mixture of experts of a model that phases train; None for a dense one."""
    if config.model_type != "granitemoe":
        return None
    settings: Any = config
    return Experts(settings.num_experts_per_tok, settings.router_aux_loss_coef)


def logits_divisor(config: PreTrainedConfig) -> float:
    """What a model divides its output layer's product by: Granite's `logits_scaling`, 1 for all others.

    An import checks that this makes the model's own logits (`pipeline.model_import.model_checks`).
    """
    return float(getattr(config, "logits_scaling", 1.0))


def has_sliding_window(config: PreTrainedConfig) -> bool:
    """Whether some layers attend to a window of the last tokens only, as Mistral 7B v0.1 does."""
    settings: Any = config
    if config.model_type == "mistral":
        return settings.sliding_window is not None
    return "sliding_attention" in (getattr(settings, "layer_types", None) or ())


def shape_of(config: PreTrainedConfig, parameters: int, where: str) -> CheckpointShape:
    """The shape of a checkpoint that a phase continues, where the phase's settings give none.

    µP's width multiplier of a Granite is what it divides its logits by (Granite 3.0 report, table 2). For other
    architectures it is 1, so that AdamW has one learning rate for all weights.

    Args:
        config: of the checkpoint.
        parameters: number of its weights, tied ones counted once.
        where: the checkpoint, to name in the error.

    Raises:
        CheckpointError: for an architecture that phases cannot train.
    """
    if config.model_type not in PHASES_TRAIN:
        raise CheckpointError(
            f"{where}: phases train {', '.join(PHASES_TRAIN)}, not {config.model_type}; start from one of these, or "
            "only fine-tune this one (sft, rl)"
        )
    found: Any = config
    head_size = getattr(found, "head_dim", None) or found.hidden_size // found.num_attention_heads
    experts = experts_of(config)
    inactive = 0
    if experts is not None:
        expert = 3 * found.hidden_size * found.intermediate_size
        inactive = found.num_hidden_layers * (found.num_local_experts - experts.per_token) * expert
    multiplier = logits_divisor(config) if config.model_type in GRANITE else 1.0
    return CheckpointShape(
        vocab_size=found.vocab_size,
        hidden_size=found.hidden_size,
        layers=found.num_hidden_layers,
        attention_heads=found.num_attention_heads,
        key_value_heads=found.num_key_value_heads,
        mlp_hidden_size=found.intermediate_size,
        experts=found.num_local_experts if experts else 0,
        experts_per_token=experts.per_token if experts else 0,
        head_width=head_size,
        counted=parameters,
        counted_active=parameters - inactive,
        multiplier=multiplier,
    )


class GraniteForSequenceClassification(GenericForSequenceClassification, GranitePreTrainedModel):
    """Granite with a linear head on the last token of a sequence that is not padding."""


def register_reward_heads() -> None:
    """Lets `AutoModelForSequenceClassification` load Granite, whose head transformers 5.23 lacks; it may be repeated.

    TRL's RewardTrainer loads the model to train by that class, which knows registered ones only.
    """
    # Without exist_ok transformers skips a class of its own configuration without a word.
    AutoModelForSequenceClassification.register(GraniteConfig, GraniteForSequenceClassification, exist_ok=True)


def check_reward_head(config: PreTrainedConfig, where: str) -> None:
    """Makes sure that a model can get a scalar head; registers Granite's.

    Args:
        config: of the model.
        where: the checkpoint, to name in the error.

    Raises:
        CheckpointError: for an architecture that transformers has no sequence classifier of.
    """
    register_reward_heads()
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise CheckpointError(
            f"{where}: transformers has no sequence classifier for {config.model_type}, so no reward model can be made "
            "of it; set inputs.model of the reward model to another architecture"
        )
