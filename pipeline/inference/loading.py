"""A checkpoint folder as a model that is ready to be evaluated, loaded as any user of transformers would."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.core.errors import CheckpointError
from pipeline.pretraining.engine.distributed import device

Precision = Literal["fp32", "bf16", "auto"]
DTYPES: dict[Precision, Any] = {"fp32": torch.float32, "bf16": torch.bfloat16, "auto": "auto"}


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model in evaluation mode, and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_model(checkpoint: Path, precision: Precision = "auto", attention: str = "sdpa") -> LoadedModel:
    """The model and tokenizer of a Hugging Face folder, on this rank's GPU, or the CPU where there is none.

    Args:
        checkpoint: the folder. Nothing is downloaded.
        precision: type of the weights; `auto` keeps the one they are stored in.
        attention: transformers' attention implementation.

    Raises:
        CheckpointError: if the folder lacks a file, or a file is damaged.
    """
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=DTYPES[precision], attn_implementation=attention, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{checkpoint}: cannot be loaded ({' '.join(str(error).split())})") from None
    return LoadedModel(model.to(device()).eval(), tokenizer)
