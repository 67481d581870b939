"""What a trainer has added up since its last row of metrics, which transformers and TRL leave out of checkpoints.

With it the rows of an interrupted stage, and so its loss and its tokens, are those of an uninterrupted one, to the bit.
"""

import json
from pathlib import Path
from typing import Any

import torch

from pipeline.pretraining.engine.distributed import rank


def save_counters(trainer: Any, checkpoint: Path) -> None:
    """Writes this rank's file into a checkpoint that the trainer has written and `complete_checkpoint` has not."""
    counters = {
        "loss": float(trainer._tr_loss),
        "logged_step": trainer._globalstep_last_logged,
        "metrics": dict(_metrics(trainer)),
        # TRL's trainers count here, but for GRPOTrainer, which does in the state that transformers saves.
        "tokens": getattr(trainer, "_total_train_tokens", 0),
    }
    # Without a batch that an environment has a part in, TRL's mean is NaN, which Python's JSON can hold.
    _file(checkpoint).write_text(json.dumps(counters))


def restore_counters(trainer: Any, checkpoint: Path) -> None:
    """Gives a trainer that begins to go on from a checkpoint what `save_counters` saved.

    Nothing happens if this rank saved none: another number of ranks has other sums.
    """
    if not _file(checkpoint).exists():
        return
    counters = json.loads(_file(checkpoint).read_text())
    trainer._tr_loss = torch.tensor(counters["loss"], device=trainer.args.device)
    trainer._globalstep_last_logged = counters["logged_step"]
    trainer._total_train_tokens = counters["tokens"]
    _metrics(trainer).update(counters["metrics"])


def _file(checkpoint: Path) -> Path:
    return checkpoint / f"counters-{rank()}.json"


def _metrics(trainer: Any) -> dict[str, list[float]]:
    """TRL's values since the last row; a trainer of transformers' own has none."""
    return getattr(trainer, "_metrics", {"train": {}})["train"]
