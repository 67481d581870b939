"""What a phase hands on.

`checkpoint/` is a plain Hugging Face folder and `training_state/` AdamW's state beside it, both safetensors and JSON.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerBase

from pipeline.core.errors import CheckpointError
from pipeline.core.files import read_json, write_json
from pipeline.pretraining.engine import optimizer_state as moments
from pipeline.pretraining.model.model import Granite

WEIGHTS_PREFIX = "model."


def save_model(weights: dict[str, Tensor], model: Granite, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Writes a plain Hugging Face folder: safetensors, configuration, tokenizer, chat template, generation."""
    end = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(bos_token_id=end, eos_token_id=end, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(directory, state_dict=weights)
    tokenizer.save_pretrained(directory)


def model_weights(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The model's weights out of gathered training state, by the names of the Hugging Face model."""
    prefix = f"{moments.MASTER}.{WEIGHTS_PREFIX}"
    return {name.removeprefix(prefix): value.to(dtype) for name, value in state.items() if name.startswith(prefix)}


def save_training_state(state: dict[str, Tensor], progress: dict[str, Any], directory: Path) -> None:
    """Writes gathered state and the numbers that a later phase continues from."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, directory / "state.safetensors")
    write_json(directory / "progress.json", progress)


def load_training_state(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_training_state` wrote.

    Raises:
        CheckpointError: if it is not there.
    """
    if not (directory / "progress.json").exists():
        raise CheckpointError(f"{directory}: no training state; continue from a pretraining phase")
    return load_file(directory / "state.safetensors"), read_json(directory / "progress.json")
