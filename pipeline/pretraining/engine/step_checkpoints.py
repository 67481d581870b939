"""Checkpoints inside a phase: what it resumes from, on any number of ranks.

`steps/<n>/` is DeepSpeed's own state of every rank, complete if and only if its manifest is there and every file has
the content that the manifest says. With a staging folder the state is written there, and a thread of each node copies
it while training goes on.
"""

import concurrent.futures
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepspeed
import xxhash
from deepspeed import comm

from pipeline.core.errors import CheckpointError
from pipeline.core.files import files_below, read_json, sync, write_json
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.engine import optimizer_state as moments
from pipeline.pretraining.engine.engine import any_rank

MANIFEST = "manifest.json"
STATE = "state"
UNIVERSAL = "universal"
CHUNK = 1 << 24


class StepCheckpoints:
    """The resumable checkpoints of one phase. Every method is a collective, on all ranks at the same step."""

    def __init__(self, directory: Path, phase: PhaseConfig, local_rank: int) -> None:
        """Finds the newest good checkpoint, and converts it if it was saved by another number of ranks.

        Args:
            directory: the stage's `steps/`.
            phase: settings.
            local_rank: this rank's number on its node.

        Raises:
            CheckpointError: if DeepSpeed's converter fails.
        """
        self._directory, self._phase, self._local_rank = directory, phase, local_rank
        self._copying: concurrent.futures.Future[None] | None = None
        self._unfinished: tuple[int, dict[str, Any]] | None = None
        self._copier = concurrent.futures.ThreadPoolExecutor(1)
        self._newest = newest_step(directory, comm.get_rank(), comm.get_world_size(), any_rank)
        self.converted = False
        """Whether the engine must load DeepSpeed's universal checkpoint."""
        if self._newest is not None and _is_divided_otherwise(self._newest, phase):
            if comm.get_rank() == 0:
                _convert(self._newest)
            comm.barrier()
            self.converted = True

    def resume(self, engine: deepspeed.DeepSpeedEngine) -> dict[str, Any] | None:
        """Restores the newest good checkpoint, if there is one, and gives the state that was saved with it."""
        if self._newest is None:
            return None
        optimizer = moments.base_optimizer(engine)
        settings = [
            {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ]
        engine.load_checkpoint(str(self._newest), tag=UNIVERSAL if self.converted else STATE)
        # DeepSpeed 0.19.8's ZeRO-3 gives all groups the settings of the first, and all states one and the same step
        # count, out of a universal checkpoint (stage3.py, load_hp_checkpoint_state_from_checkpoint_dir_stage3).
        for group, own in zip(optimizer.param_groups, settings, strict=True):
            group.update(own)
        for state in optimizer.state.values():
            state["step"] = state["step"].clone()
        moments.link(engine)
        return read_json(self._newest / MANIFEST)

    def save(self, engine: deepspeed.DeepSpeedEngine, step: int, state: dict[str, Any]) -> None:
        """Saves resumable state as `<directory>/<step>`, atomically; with staging it is complete after `finish`.

        Args:
            engine: whose model and optimizer are saved.
            step: steps done.
            state: what else a resumed phase needs, as JSON.
        """
        self.finish()
        beside, staging = self._directory / f".{step}", self._phase.checkpoint_staging
        if comm.get_rank() == 0:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
        folder = beside
        if staging is not None:
            folder = Path(staging) / f"{self._directory.parent.parent.name}-{step}"
            if self._local_rank == 0:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
        comm.barrier()
        # DeepSpeed's own `latest` can name a checkpoint that not all ranks have written.
        engine.save_checkpoint(str(folder), tag=STATE, save_latest=False)
        comm.barrier()
        self._unfinished = step, state
        if staging is None:
            self.finish()
        elif self._local_rank == 0:
            self._copying = self._copier.submit(_move, folder, beside)

    def poll(self) -> None:
        """Completes what was saved last if all nodes have copied it."""
        if self._unfinished is not None and not any_rank(self._copying is not None and not self._copying.done()):
            self.finish()

    def finish(self) -> None:
        """Waits until what was saved last is complete, and removes older ones."""
        if self._unfinished is None:
            return
        (step, state), self._unfinished = self._unfinished, None
        if self._copying is not None:
            self._copying.result()
            self._copying = None
        comm.barrier()
        beside = self._directory / f".{step}"
        files = _described(beside)
        if comm.get_rank() == 0:
            write_json(beside / MANIFEST, {"step": step, "files": files, "world_size": comm.get_world_size(), **state})
            shutil.rmtree(self._directory / str(step), ignore_errors=True)  # a damaged one that was passed over
            beside.rename(self._directory / str(step))
            sync(self._directory)
            self._prune(step)
        comm.barrier()

    def _prune(self, newest: int) -> None:
        kept = sorted((number for number in _numbers(self._directory) if number <= newest), reverse=True)
        every = self._phase.keep_every_steps
        staying = {str(number) for number in kept[: self._phase.keep_checkpoints]}
        staying |= {str(number) for number in kept if every is not None and number % every == 0}
        for path in self._directory.iterdir():
            if path.name not in staying:
                shutil.rmtree(path)


def _move(source: Path, target: Path) -> None:
    for path in files_below(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    shutil.rmtree(source)


def _described(folder: Path) -> dict[str, list[Any]]:
    """Size and hash of every file, which all ranks share the work of; and all of them are on the disk."""
    paths = files_below(folder)
    own = {}
    for path in paths[comm.get_rank() :: comm.get_world_size()]:
        sync(path)
        own[str(path.relative_to(folder))] = [path.stat().st_size, content_hash(path)]
    parts: list[Any] = [None] * comm.get_world_size()
    comm.all_gather_object(parts, own)
    return {name: value for part in parts for name, value in part.items()}


def content_hash(path: Path) -> str:
    """xxHash of 128 bits: against damage, not against forgery."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _numbers(directory: Path) -> list[int]:
    return [int(path.name) for path in directory.glob("*") if path.name.isdigit()]


def newest_step(
    directory: Path, rank: int = 0, world_size: int = 1, any_rank: Callable[[bool], bool] = bool
) -> Path | None:
    """The newest good checkpoint of `steps/`: one with a manifest, and files with the content that it says.

    Args:
        directory: the stage's `steps/`.
        rank: of all ranks, each of which reads a part of the files.
        world_size: ranks.
        any_rank: tells all ranks whether one of them says so.
    """
    for number in sorted(_numbers(directory), reverse=True):
        path = directory / str(number)
        if (path / MANIFEST).exists():
            files = list(read_json(path / MANIFEST)["files"].items())[rank::world_size]
            if not any_rank(any(_is_damaged(path / name, *described) for name, described in files)):
                return path
    return None


def _is_damaged(path: Path, size: int, digest: str) -> bool:
    return not path.is_file() or path.stat().st_size != size or content_hash(path) != digest


def _is_divided_otherwise(path: Path, phase: PhaseConfig) -> bool:
    return phase.zero_stage > 0 and read_json(path / MANIFEST)["world_size"] != comm.get_world_size()


def _convert(path: Path) -> None:
    """Writes DeepSpeed's universal checkpoint beside a checkpoint's state.

    Raises:
        CheckpointError: if DeepSpeed's converter fails.
    """
    beside, output = path / f".{UNIVERSAL}", path / UNIVERSAL
    if output.exists():
        return
    shutil.rmtree(beside, ignore_errors=True)
    command = [
        sys.executable, "-P", "-m", "deepspeed.checkpoint.ds_to_universal", "--input_folder", str(path / STATE),
        "--output_folder", str(beside), "--inject_missing_state",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise CheckpointError(f"{path}: cannot be converted for another number of ranks: {' '.join(last)}")
    beside.rename(output)
