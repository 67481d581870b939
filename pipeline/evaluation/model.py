"""A checkpoint, loaded as anyone would."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.core.errors import CheckpointError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to be measured, with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        """Where inputs belong."""
        return self.model.device


def load_model(directory: Path, precision: str, attention: str) -> LoadedModel:
    """The model and tokenizer of a Hugging Face folder, on the GPU if there is one.

    Raises:
        CheckpointError: if the folder lacks a file, or a file is damaged.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            directory, dtype=PRECISIONS[precision], attn_implementation=attention, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{directory}: cannot be loaded ({' '.join(str(error).split())})") from None
    return LoadedModel(model.to(device).eval(), tokenizer)
