"""Step checkpoints of a trainer, which an interrupted stage goes on from: `checkpoint-<step>` in the stage's state.

The trainer writes them in its own form. One counts only when its manifest proves it complete and undamaged
(`pipeline.core.verified_folder`).
"""

import shutil
from pathlib import Path

from pipeline.core.verified_folder import MANIFEST, describe_files, newest_verified_step, step_numbers, write_manifest
from pipeline.pretraining.engine.distributed import (
    any_rank,
    barrier,
    gather_objects,
    rank,
    waiting_for_files,
    world_size,
)

PREFIX = "checkpoint-"
"""What transformers' trainer begins the names of its checkpoints with."""
DAMAGED = "damaged-"
"""What names of checkpoints begin with that are set aside."""


def complete_checkpoint(state: Path, step: int) -> None:
    """Puts the checkpoint of a step on the disk and writes its manifest; a collective, which first waits for all ranks.

    Args:
        state: the stage's state, on a file system that all ranks share.
        step: whose checkpoint the trainer has written, on all ranks.
    """
    checkpoint = state / f"{PREFIX}{step}"
    if rank() == 0:
        # Left from a checkpoint that was found damaged and has now been written again.
        (checkpoint / MANIFEST).unlink(missing_ok=True)
    barrier()
    parts = gather_objects(describe_files(checkpoint, rank(), world_size()))
    if rank() == 0:
        write_manifest(checkpoint, {name: described for part in parts for name, described in part.items()})
    # Whichever rank looks for checkpoints next is to find this one.
    barrier()


def newest_checkpoint(state: Path) -> Path | None:
    """The complete and undamaged checkpoint of the highest step, or None; a collective, the same answer on all ranks.

    Every file is read and hashed, which the ranks share. Nothing is deleted.
    """
    with waiting_for_files():
        return newest_verified_step(state, PREFIX, rank(), world_size(), any_rank)


def set_aside_damaged(state: Path, found: Path | None) -> None:
    """Renames the checkpoints of later steps than the one that was found, which are damaged, and says so in the log.

    Under their own names the trainer would count them among the newest, and delete good ones in their place. Rank 0
    alone calls it, before training.
    """
    for step in step_numbers(state, PREFIX):
        folder = state / f"{PREFIX}{step}"
        if folder == found:
            break
        if (folder / MANIFEST).exists():
            aside = state / f"{DAMAGED}{folder.name}"
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            again = f"training goes on from step {found.name.removeprefix(PREFIX)}" if found else "training begins anew"
            print(f"{folder}: a file is not as it was written, set aside as {aside.name}; {again}", flush=True)


def remove_unfinished(state: Path) -> None:
    """Removes the checkpoints without a manifest, which attempts left that were killed or found no room to write.

    Rank 0 alone calls it, before training.
    """
    for folder in state.glob(f"{PREFIX}*"):
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
