"""Registers a Granite with a scalar head with transformers, whose version 5.23 has none.

TRL's RewardTrainer loads the model to train by `AutoModelForSequenceClassification`, which knows registered classes
only.
"""

from transformers import AutoModelForSequenceClassification, GraniteConfig
from transformers.modeling_layers import GenericForSequenceClassification
from transformers.models.granite.modeling_granite import GranitePreTrainedModel


class GraniteForSequenceClassification(GenericForSequenceClassification, GranitePreTrainedModel):
    """Granite with a linear head on the last token of a sequence that is not padding."""


def register_granite_classifier() -> None:
    """Lets `AutoModelForSequenceClassification` load Granite checkpoints; calling it again changes nothing."""
    # Without exist_ok transformers skips a class of its own configuration without a word.
    AutoModelForSequenceClassification.register(GraniteConfig, GraniteForSequenceClassification, exist_ok=True)
