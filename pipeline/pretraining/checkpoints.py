"""Checkpoints: what a phase hands on, and what it resumes from.

`checkpoint/` is a plain Hugging Face folder and `training_state/` AdamW's state beside it, both safetensors and
JSON. `steps/<n>/` is DeepSpeed's own resumable state, complete if and only if its manifest is there.
"""

import shutil
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed import comm
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GenerationConfig, GraniteForCausalLM, PreTrainedTokenizerBase

from pipeline.errors import CheckpointError
from pipeline.files import files_below, read_json, sync, write_json
from pipeline.pretraining import moments

MANIFEST = "manifest.json"
WEIGHTS_PREFIX = "model."


def save_step(engine: deepspeed.DeepSpeedEngine, directory: Path, step: int, state: dict[str, Any]) -> None:
    """Saves resumable state as `directory/<step>`, atomically, and removes older ones. A collective.

    Args:
        engine: whose model and optimizer are saved.
        directory: the stage's `steps/`.
        step: steps done.
        state: what else a resumed phase needs, as JSON.
    """
    rank = comm.get_rank()
    beside = directory / f".{step}"
    if rank == 0:
        shutil.rmtree(beside, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
    comm.barrier()
    # DeepSpeed's own `latest` can name a checkpoint that not all ranks have written.
    engine.save_checkpoint(str(beside), tag="state", save_latest=False)
    comm.barrier()
    if rank == 0:
        files = {}
        for path in files_below(beside):
            sync(path)
            files[str(path.relative_to(beside))] = path.stat().st_size
        write_json(beside / MANIFEST, {"step": step, "files": files, "world_size": comm.get_world_size(), **state})
        shutil.rmtree(directory / str(step), ignore_errors=True)  # a damaged one that was passed over
        beside.rename(directory / str(step))
        sync(directory)
        for older in directory.iterdir():
            if older.name != str(step):
                shutil.rmtree(older)
    comm.barrier()


def newest_step(directory: Path) -> Path | None:
    """The newest complete checkpoint of `steps/`; one whose files are not as its manifest says is passed over."""
    numbered = [path for path in directory.glob("*") if path.name.isdigit()]
    for path in sorted(numbered, key=lambda each: -int(each.name)):
        if (path / MANIFEST).exists():
            files = read_json(path / MANIFEST)["files"]
            if all((path / name).is_file() and (path / name).stat().st_size == size for name, size in files.items()):
                return path
    return None


def load_step(engine: deepspeed.DeepSpeedEngine, path: Path) -> dict[str, Any]:
    """Restores what `save_step` saved and returns its JSON state.

    Raises:
        CheckpointError: if it was saved by another number of ranks.
    """
    state = read_json(path / MANIFEST)
    if state["world_size"] != comm.get_world_size():
        raise CheckpointError(
            f"{path}: saved by {state['world_size']} ranks, now there are {comm.get_world_size()}; "
            "resume with as many, or delete it to begin the phase again"
        )
    engine.load_checkpoint(str(path), tag="state")
    moments.link(engine)
    return state


def save_model(
    weights: dict[str, Tensor], model: GraniteForCausalLM, tokenizer: PreTrainedTokenizerBase, directory: Path
) -> None:
    """Writes a plain Hugging Face folder: safetensors, configuration, tokenizer, chat template, generation."""
    end = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(bos_token_id=end, eos_token_id=end, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(directory, state_dict=weights)
    tokenizer.save_pretrained(directory)


def model_weights(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The model's weights out of gathered training state, by the names of `GraniteForCausalLM`."""
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
