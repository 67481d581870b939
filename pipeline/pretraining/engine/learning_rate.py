"""The optimizer's parameter groups, and the learning rate that is set in them before each step.

`pretraining.schedules` computes that rate.
"""

from collections.abc import Iterable
from typing import Any

from torch import nn

from pipeline.pretraining.config import OptimizerConfig
from pipeline.pretraining.model_config import ModelConfig


def parameter_groups(model: nn.Module, shape: ModelConfig, optimizer: OptimizerConfig) -> list[dict[str, Any]]:
    """AdamW's parameter groups: matrices, embeddings, norms.

    Each carries `rate_multiplier`, which `set_learning_rate` multiplies the rate with: 1/m_width for matrices (µP,
    Yang et al. 2022, arXiv 2203.03466), else 1. m_width is 1 for an architecture that is not trained under µP
    (`model.architecture`), so that all have one rate. Norms and biases have no weight decay.
    """
    matrices, embeddings, norms = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            norms.append(parameter)
        elif "embed_tokens" in name:
            embeddings.append(parameter)
        else:
            matrices.append(parameter)
    return [
        {
            "params": matrices,
            "rate_multiplier": 1 / shape.width_multiplier,
            "weight_decay": optimizer.weight_decay,
        },
        {"params": embeddings, "rate_multiplier": 1.0, "weight_decay": optimizer.weight_decay},
        {"params": norms, "rate_multiplier": 1.0, "weight_decay": 0.0},
    ]


def set_learning_rate(groups: Iterable[dict[str, Any]], rate: float) -> None:
    """Sets the learning rate of the next step: in each parameter group `rate` times its `rate_multiplier`."""
    for group in groups:
        group["lr"] = rate * group["rate_multiplier"]
