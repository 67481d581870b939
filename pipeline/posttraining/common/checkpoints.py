"""Resumable checkpoints inside a stage, and the plain checkpoint a stage hands on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.core.files import files_below, read_json, sync, write_json

COMPLETE = "complete.json"
"""Written last into a resumable checkpoint: its files and their sizes. Without it a checkpoint is not one."""


def mark_complete(checkpoint: Path) -> None:
    """Put everything of a checkpoint on the disk, then describe it."""
    sizes = {}
    for path in files_below(checkpoint):
        sync(path)
        sizes[str(path.relative_to(checkpoint))] = path.stat().st_size
    write_json(checkpoint / COMPLETE, sizes)


def is_complete(checkpoint: Path) -> bool:
    """Whether the checkpoint holds every file its description names, at full size."""
    if not (checkpoint / COMPLETE).is_file():
        return False
    sizes = read_json(checkpoint / COMPLETE)
    return all(
        (checkpoint / name).is_file() and (checkpoint / name).stat().st_size == size for name, size in sizes.items()
    )


def last_complete_checkpoint(state: Path) -> Path | None:
    """The newest complete checkpoint of a stage's state, or None. Nothing is deleted: every rank looks."""
    found = [path for path in state.glob("checkpoint-*") if is_complete(path)]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def measured_once(path: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured before training, kept in the stage's state so that every attempt reports the same.

    All ranks call it together: whether to measure is rank 0's decision, since measuring is collective.
    """
    known: list[Any] = [read_json(path) if path.exists() else None]
    distributed = torch.distributed.is_initialized()
    if distributed:
        torch.distributed.broadcast_object_list(known, src=0)
    if known[0] is None:
        known[0] = measure()
        if not distributed or torch.distributed.get_rank() == 0:
            write_json(path, known[0])
    return known[0]


def export_model(trainer: Any, output: Path) -> Path:
    """Write the trained model as a plain Hugging Face folder into `output/checkpoint`, on all ranks together.

    It holds weights, configuration, generation configuration, tokenizer and chat template.
    """
    checkpoint = output / "checkpoint"
    model = trainer.accelerator.unwrap_model(trainer.model)
    # Collective: under ZeRO-3 it gathers the shards.
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.args.should_save:
        shutil.rmtree(checkpoint, ignore_errors=True)
        if model.config.tie_word_embeddings:
            # The engine's copy is no longer seen to be shared: without this the embedding is stored twice.
            for name in model._tied_weights_keys or ():
                weights.pop(name, None)
        # Not the trainer's own save: it adds a pickle with this machine's paths.
        model.save_pretrained(checkpoint, state_dict=weights)
        trainer.processing_class.save_pretrained(checkpoint)
    trainer.accelerator.wait_for_everyone()
    return checkpoint


def tokens_seen(trainer: Any) -> int:
    """Tokens the trainer processed, from its last row of metrics that counts them."""
    counted = [row["num_tokens"] for row in trainer.state.log_history if "num_tokens" in row]
    return int(float(counted[-1])) if counted else 0
