"""Step checkpoints: what an interrupted phase resumes from, on the same or another number of ranks.

`steps/<n>/state/` is DeepSpeed's own state of every rank after n steps, and `steps/<n>/manifest.json` what proves it
complete (`pipeline.core.verified_folder`), with the number of ranks and the state of data and step guard. With a
staging folder the state is first written there, and a thread on each node copies it while training goes on.
"""

import concurrent.futures
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import deepspeed

from pipeline.core.disk import reporting_full_disk
from pipeline.core.errors import CheckpointError
from pipeline.core.files import files_below, sync
from pipeline.core.verified_folder import (
    describe_files,
    newest_verified_step,
    read_manifest,
    step_numbers,
    write_manifest,
)
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.engine.distributed import (
    any_rank,
    barrier,
    gather_objects,
    rank,
    waiting_for_files,
    world_size,
)
from pipeline.pretraining.engine.optimizer_state import base_optimizer, link_moments

STATE = "state"
UNIVERSAL = "universal"


class StepCheckpoints:
    """The step checkpoints of one phase. Every method is a collective, which all ranks call at the same step."""

    def __init__(self, directory: Path, phase: PhaseConfig, local_rank: int) -> None:
        """Finds the newest complete checkpoint, and makes it fit this number of ranks; a collective.

        Universal resume: under ZeRO each rank's files hold its part of one flat array per parameter group, so another
        number of ranks cannot read them. DeepSpeed's `ds_to_universal` writes them anew as whole tensors by parameter
        name, of which any number of ranks takes its parts. Rank 0 runs it once, as a process of its own, and keeps the
        result beside the state it was made from. Without ZeRO every rank holds everything and nothing is converted.

        Args:
            directory: the stage's `steps/`, on a file system that all ranks share.
            phase: settings of the phase.
            local_rank: this rank's number on its node.

        Raises:
            CheckpointError: if DeepSpeed's converter fails.
        """
        self._directory, self._phase, self._local_rank = directory, phase, local_rank
        self._copier = concurrent.futures.ThreadPoolExecutor(1)
        self._copying: concurrent.futures.Future[None] | None = None
        self._pending: tuple[int, dict[str, Any]] | None = None
        """Step and facts of the checkpoint that was saved last, as long as it is not complete."""
        if rank() == 0:
            for unfinished in directory.glob(".[0-9]*"):
                shutil.rmtree(unfinished)
        with waiting_for_files():
            self._resumed_from = newest_verified_step(
                directory, rank=rank(), world_size=world_size(), any_rank=any_rank
            )
        self.universal = (
            self._resumed_from is not None
            and phase.zero_stage > 0
            and read_manifest(self._resumed_from)["world_size"] != world_size()
        )
        """Whether the engine must be made to load DeepSpeed's universal checkpoint."""
        if self._resumed_from is not None and self.universal:
            with waiting_for_files():
                if rank() == 0:
                    _convert_to_universal(self._resumed_from)
                barrier()

    def resume(self, engine: deepspeed.DeepSpeedEngine) -> dict[str, Any] | None:
        """Loads weights and optimizer state of the newest complete checkpoint into the engine; a collective.

        Returns:
            The checkpoint's manifest: `step`, and what `save` was given. None if there is no checkpoint.
        """
        if self._resumed_from is None:
            return None
        optimizer = base_optimizer(engine)
        settings = [
            {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ]
        with waiting_for_files():
            barrier()
            engine.load_checkpoint(str(self._resumed_from), tag=UNIVERSAL if self.universal else STATE)
        # DeepSpeed 0.19.8's ZeRO-3 gives all groups the settings of the first, and all states one and the same step
        # count, out of a universal checkpoint (stage3.py, load_hp_checkpoint_state_from_checkpoint_dir_stage3).
        for group, own in zip(optimizer.param_groups, settings, strict=True):
            group.update(own)
        for state in optimizer.state.values():
            state["step"] = state["step"].clone()
        link_moments(engine)
        return read_manifest(self._resumed_from)

    def save(self, engine: deepspeed.DeepSpeedEngine, step: int, facts: dict[str, Any]) -> None:
        """Writes weights and optimizer state as `<directory>/<step>`, which appears whole or not at all; a collective.

        With staging it returns once the state is in the staging folder; `finalize` then completes the checkpoint. One
        that is still being copied is completed first.

        Args:
            engine: whose state is saved.
            step: steps of the phase that are done.
            facts: what else a resumed phase needs, as JSON; `resume` gives it back.

        Raises:
            DiskFullError: if there is no room; nothing of the checkpoint is left, and the ones before are as they were.
        """
        self.finalize()
        with waiting_for_files(), reporting_full_disk(self._temporary(step)):
            self._write(engine, step)
        self._pending = step, facts
        if self._phase.checkpoint_staging is None:
            self.finalize()

    def _write(self, engine: deepspeed.DeepSpeedEngine, step: int) -> None:
        """Writes the state into the folder of the checkpoint, or of the staging that is then copied; a collective."""
        temporary, staging = self._temporary(step), self._phase.checkpoint_staging
        if rank() == 0:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        folder = temporary
        if staging is not None:
            folder = Path(staging) / f"{self._directory.parent.parent.name}-{step}"
            if self._local_rank == 0:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
        barrier()
        # DeepSpeed's own `latest` can name a checkpoint that not all ranks have written.
        engine.save_checkpoint(str(folder), tag=STATE, save_latest=False)
        barrier()
        if staging is not None and self._local_rank == 0:
            self._copying = self._copier.submit(_move_files, folder, temporary)

    def finalize_if_copied(self) -> None:
        """Completes the checkpoint that was saved last if all nodes have copied it, and else returns; a collective."""
        if self._pending is not None and not any_rank(self._copying is not None and not self._copying.done()):
            self.finalize()

    def finalize(self) -> None:
        """Waits until the checkpoint that was saved last is copied, completes it, and removes older ones; a collective.

        All ranks share the hashing of its files. Rank 0 writes the manifest, renames the folder into place, and
        removes what `keep_checkpoints` and `keep_every_steps` do not keep. Without a pending checkpoint nothing is
        done.

        Raises:
            DiskFullError: if there is no room; nothing of the checkpoint is left.
        """
        if self._pending is None:
            return
        (step, facts), self._pending = self._pending, None
        with waiting_for_files(), reporting_full_disk(self._temporary(step)):
            self._complete(step, facts)

    def _complete(self, step: int, facts: dict[str, Any]) -> None:
        """Makes a checkpoint of what `_write` wrote; a collective."""
        if self._copying is not None:
            self._copying.result()
            self._copying = None
        barrier()
        temporary, place = self._temporary(step), self._directory / str(step)
        shares = gather_objects(describe_files(temporary, rank(), world_size()))
        if rank() == 0:
            files = {name: described for share in shares for name, described in share.items()}
            write_manifest(temporary, files, step=step, world_size=world_size(), **facts)
            shutil.rmtree(place, ignore_errors=True)  # a damaged one that was passed over
            temporary.rename(place)
            sync(self._directory)
            self._prune(step)
        barrier()

    def _temporary(self, step: int) -> Path:
        """Where a checkpoint is while it is not complete."""
        return self._directory / f".{step}"

    def _prune(self, newest: int) -> None:
        """Removes everything but the checkpoints to keep; what is newer than the one just written is damaged."""
        steps = [step for step in step_numbers(self._directory) if step <= newest]
        every = self._phase.keep_every_steps
        kept = {str(step) for step in steps[: self._phase.keep_checkpoints]}
        kept |= {str(step) for step in steps if every is not None and step % every == 0}
        for path in self._directory.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)


def _move_files(source: Path, target: Path) -> None:
    """Copies the files of a folder to another, on another file system, and removes the folder."""
    for path in files_below(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    shutil.rmtree(source)


def _convert_to_universal(checkpoint: Path) -> None:
    """Writes DeepSpeed's universal checkpoint beside a checkpoint's state, unless it is there from an earlier attempt.

    Raises:
        CheckpointError: if DeepSpeed's converter fails, with the last line that it printed.
    """
    temporary, output = checkpoint / f".{UNIVERSAL}", checkpoint / UNIVERSAL
    if output.exists():
        return
    shutil.rmtree(temporary, ignore_errors=True)
    command = [
        sys.executable, "-P", "-m", "deepspeed.checkpoint.ds_to_universal", "--input_folder", str(checkpoint / STATE),
        "--output_folder", str(temporary), "--inject_missing_state",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise CheckpointError(f"{checkpoint}: cannot be converted for another number of ranks: {' '.join(last)}")
    temporary.rename(output)
