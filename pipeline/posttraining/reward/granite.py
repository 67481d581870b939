"""A Granite with a scalar head: transformers 5.23 has none of its own, and TRL asks for it by name."""

from transformers import AutoModelForSequenceClassification, GraniteConfig
from transformers.modeling_layers import GenericForSequenceClassification
from transformers.models.granite.modeling_granite import GranitePreTrainedModel


class GraniteForSequenceClassification(GenericForSequenceClassification, GranitePreTrainedModel):
    """Granite with a linear head on the last token that is no padding."""


def register() -> None:
    """Let `AutoModelForSequenceClassification` load Granite checkpoints."""
    # Without exist_ok transformers skips a class of its own configuration without a word.
    AutoModelForSequenceClassification.register(GraniteConfig, GraniteForSequenceClassification, exist_ok=True)
