"""Runs independent tasks side by side through one of datatrove's executors, each once, even across a kill.

A task writes each file under another name and renames it when it is whole; the executor marks the task done after
that. So a task that was cut short is done again from its beginning, and, being a function of its inputs, gives the
same bytes.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.core.errors import LaunchError, Requeue, UserError, as_user_error
from pipeline.core.files import read_json, write_json
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.child_processes import kill_with_parent
from pipeline.curation.executors.local import run_locally
from pipeline.curation.executors.ray_cluster import run_on_ray
from pipeline.curation.executors.slurm import run_on_slurm

Executor = Callable[[list[PipelineStep], int, Path, ExecutorConfig, int | None, Callable[[], bool]], None]
"""Runs the steps once for every rank below the number of tasks, skipping those that datatrove has marked done in the
folder; returns when none runs any more. The other arguments are those of `run_tasks`."""
EXECUTORS: dict[str, Executor] = {"local": run_locally, "slurm": run_on_slurm, "ray": run_on_ray}
"""By `executor.kind`."""

POLL_SECONDS = 0.25
STOP_FILE = "stop"
"""Its presence tells tasks, on whichever machine, to stop."""
ERROR_FILE = "error.json"
"""What a user must change, as a task on another machine found it."""


class Task(Protocol):
    """A part of the work that depends on no other part of the same step.

    It must pickle, and give the same files when it is done again, whatever an interrupted attempt has left.
    """

    def __call__(self, progress: "TaskProgress") -> None:
        """Does the task in the process that calls it, and counts in `progress` what is done."""
        ...


class TaskProgress:
    """How far one task is, in a file that the stage's process watches; and how the task learns that it is to stop."""

    def __init__(self, folder: Path, rank: int) -> None:
        """Counts from 0. The folder is that of all tasks of the step; the rank is the number of this one."""
        self._path = folder / f"{rank:05d}.count"
        self._stop = folder / STOP_FILE
        self._units = 0
        self._documents = 0
        self._looked = time.monotonic()

    def unit_done(self, count: int = 1) -> None:
        """Counts units of work: what the total of the progress bar is a number of, such as files or tasks."""
        self._units += count

    def document_done(self) -> None:
        """Counts a document, and every quarter of a second publishes the counts and looks whether to stop.

        Raises:
            Requeue: if the stage is to stop.
        """
        self._documents += 1
        if time.monotonic() - self._looked >= POLL_SECONDS:
            self._looked = time.monotonic()
            self.write()
            if self._stop.exists():
                raise Requeue("stopped between two documents")

    def write(self) -> None:
        """Publishes the counts, whole or not at all: the stage reads the file while tasks write it."""
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        beside.write_text(f"{self._units} {self._documents}")
        beside.replace(self._path)


class TaskOfRank(PipelineStep):
    """The one step of the datatrove pipeline that an executor runs: in the process of a rank it does that task."""

    type = "TASK"
    name = "task"

    def __init__(self, tasks: Sequence[Task], progress_folder: Path) -> None:
        """Takes the tasks of all ranks, since datatrove pickles one pipeline for all of them."""
        super().__init__()
        self.tasks = list(tasks)
        self.progress_folder = progress_folder

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Does the task and gives no documents to a next step: tasks pass files on.

        An error that the user can correct is also written down, for a stage's process on another machine.
        """
        kill_with_parent(os.getpid())
        progress = TaskProgress(self.progress_folder, rank)
        try:
            self.tasks[rank](progress)
        except Exception as error:
            if (user_error := as_user_error(error, where=f"task {rank}")) is not None:
                write_json(self.progress_folder / ERROR_FILE, {"message": str(user_error)})
            raise
        progress.write()
        return iter(())


def run_tasks(
    tasks: Sequence[Task],
    folder: Path,
    executor: ExecutorConfig,
    workers: int | None,
    progress: Callable[[int, int], None] = lambda units, documents: None,
    stop_requested: Callable[[], bool] = lambda: False,
    here: bool = False,
) -> None:
    """Does those tasks that an earlier attempt has not done, and comes back when all are.

    Args:
        tasks: independent of each other. Which are done is known by their numbers: the same list must come again.
        folder: keeps which tasks are done, their logs and counts; all machines that work must see it.
        executor: which machines those are.
        workers: most tasks at the same time; null is one per core, with Slurm and Ray as many as they give.
        progress: called now and then, in a thread, with the units and documents that all tasks counted together.
        stop_requested: asked now and then, in a thread.
        here: does them in this process, one after the other, which spares small tasks the seconds that workers need
            to start.

    Raises:
        Requeue: if `stop_requested` turned true before all were done.
        UserError: what a task raised, or what is wrong with the executor.
    """
    if not tasks:
        return
    progress_folder = folder / "progress"
    progress_folder.mkdir(parents=True, exist_ok=True)
    for name in (STOP_FILE, ERROR_FILE):
        (progress_folder / name).unlink(missing_ok=True)
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(POLL_SECONDS):
            progress(*_total(progress_folder))
            if stop_requested():
                (progress_folder / STOP_FILE).touch()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        run = _run_here if here else EXECUTORS[executor.kind]
        run([TaskOfRank(tasks, progress_folder)], len(tasks), folder, executor, workers, stop_requested)
    except LaunchError:
        # Slurm and Ray say only that tasks failed, not why.
        if stop_requested():
            raise Requeue("stopped between two parts of the work") from None
        if (progress_folder / ERROR_FILE).exists():
            raise UserError(read_json(progress_folder / ERROR_FILE)["message"]) from None
        raise
    finally:
        finished.set()
        watcher.join()
    progress(*_total(progress_folder))
    if stop_requested():
        raise Requeue("stopped between two parts of the work")


def _run_here(
    steps: list[PipelineStep],
    tasks: int,
    folder: Path,
    config: ExecutorConfig,
    workers: int | None,
    stop_requested: Callable[[], bool],
) -> None:
    """An `Executor` that is this process; it marks tasks done as all others do."""
    executor = LocalPipelineExecutor(steps, tasks=tasks, logging_dir=str(folder))
    for rank in executor.get_incomplete_ranks():
        for step in steps:
            step.run(None, rank)
        executor.mark_rank_as_completed(rank)
        if stop_requested():
            raise Requeue("stopped between two parts of the work")


def _total(progress_folder: Path) -> tuple[int, int]:
    """Units and documents done, summed over the tasks, those of earlier attempts among them."""
    counts = [path.read_text().split() for path in progress_folder.glob("[0-9]*.count")]
    return sum(int(units) for units, _ in counts), sum(int(documents) for _, documents in counts)
