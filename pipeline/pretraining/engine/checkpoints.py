"""What a phase hands to the next: `checkpoint/`, a plain Hugging Face folder, and `training_state/` beside it.

`training_state/state.safetensors` has the fp32 weights and AdamW's moments (`optimizer_state`), and `progress.json` the
numbers that the next phase continues from. Neither is a pickle, and both are independent of ranks and ZeRO stage.

An imported model has `imported.json` in the place of `training_state/`: its weights are all that there is of it.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.core.artifact import IMPORTED
from pipeline.core.errors import CheckpointError
from pipeline.core.files import read_json, write_json
from pipeline.pretraining.engine.optimizer_state import MASTER

WRAPPER_PREFIX = "model."
"""What the names of parameters begin with inside `TrainingModel`, and not in the Hugging Face model."""


def save_model(
    weights: dict[str, Tensor], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, directory: Path
) -> None:
    """Writes a Hugging Face folder: safetensors, configuration, generation configuration, tokenizer, chat template.

    Args:
        weights: by the names of the Hugging Face model, in the precision to store; see `model_weights`.
        model: for its configuration; its own weights are not written.
        tokenizer: whose end-of-text and padding tokens the configurations name.
        directory: that is written.
    """
    model.generation_config = GenerationConfig(**token_ids(tokenizer))
    model.save_pretrained(directory, state_dict=weights)
    tokenizer.save_pretrained(directory)


def token_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What a model's configurations say of a tokenizer: ids of its beginning, end and padding, or None."""
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}


def model_weights(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights out of a gathered training state, in a precision, by the names of the Hugging Face model."""
    prefix = f"{MASTER}.{WRAPPER_PREFIX}"
    return {name.removeprefix(prefix): value.to(dtype) for name, value in state.items() if name.startswith(prefix)}


def save_training_state(state: dict[str, Tensor], progress: dict[str, Any], directory: Path) -> None:
    """Writes a gathered training state, and as JSON the numbers that a later phase continues from."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, directory / "state.safetensors")
    write_json(directory / "progress.json", progress)


def load_training_state(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state and the numbers that `save_training_state` wrote.

    Raises:
        CheckpointError: if the folder has none, as the checkpoints of other stages.
    """
    if not (directory / "progress.json").exists():
        raise CheckpointError(f"{directory}: no training state; continue from a pretraining phase or an imported model")
    return load_file(directory / "state.safetensors"), read_json(directory / "progress.json")


def load_imported(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """As `load_training_state`, of an imported model: the weights without moments, from no token and no step.

    Args:
        directory: the artifact of the import.
    """
    imported = read_json(directory / IMPORTED)
    model = AutoModelForCausalLM.from_pretrained(directory / "checkpoint", dtype=torch.float32)
    weights = {f"{MASTER}.{WRAPPER_PREFIX}{name}": each.detach() for name, each in model.named_parameters()}
    numbers = {"tokens": 0, "learning_rate": None, "adam_step": 0}
    return weights, {**numbers, "context": imported["context"], "logits": imported["logits"]}
