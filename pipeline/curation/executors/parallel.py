"""Tasks side by side, through datatrove's executors: each done once, even across a kill.

A task writes what it makes under another name and renames it when it is whole; the executor marks it done
after that. A task cut short is done again, and gives the same bytes.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from datatrove.pipeline.base import PipelineStep

from pipeline.core.errors import LaunchError, Requeue, UserError, as_user_error
from pipeline.core.files import read_json, write_json
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.child_processes import tie_processes
from pipeline.curation.executors.executors import execute

POLL_SECONDS = 0.25
STOP_FILE = "stop"
ERROR_FILE = "error.json"
"""What a user must change, from a task on another machine."""


class Task(Protocol):
    """One task. It must pickle, and give the same result when done again."""

    def __call__(self, progress: "TaskProgress") -> None:
        """Does it."""
        ...


class TaskProgress:
    """Counts what a task has done, in a file that the parent watches; learns there that it is to stop."""

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"{rank:05d}.count"
        self._stop = folder / STOP_FILE
        self._units = 0
        self._documents = 0
        self._looked = time.monotonic()

    def unit_done(self, count: int = 1) -> None:
        """Units of work are done, of those that the total counts."""
        self._units += count

    def document_done(self) -> None:
        """A document has been looked at.

        Raises:
            Requeue: if the run is to stop.
        """
        self._documents += 1
        if time.monotonic() - self._looked >= POLL_SECONDS:
            self._looked = time.monotonic()
            self.write()
            if self._stop.exists():
                raise Requeue("stopped between two documents")

    def write(self) -> None:
        """Publishes the count."""
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        beside.write_text(f"{self._units} {self._documents}")
        beside.replace(self._path)


class _Tasks(PipelineStep):
    """The step that does the task of its rank."""

    type = "TASK"
    name = "task"

    def __init__(self, tasks: Sequence[Task], counters: Path) -> None:
        super().__init__()
        self.tasks = list(tasks)
        self.counters = counters

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Nothing to pass on."""
        tie_processes(os.getpid())
        progress = TaskProgress(self.counters, rank)
        try:
            self.tasks[rank](progress)
        except Exception as error:
            if (user_error := as_user_error(error, where=f"task {rank}")) is not None:
                write_json(self.counters / ERROR_FILE, {"message": str(user_error)})
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
) -> None:
    """Does those tasks that an earlier attempt has not done; `folder` keeps which are.

    Args:
        tasks: independent of each other.
        folder: must be seen by all machines that work.
        executor: which machines those are.
        workers: most tasks at the same time; null is one per core, on a cluster as many as it gives.
        progress: called now and then with the units and documents that the tasks counted.
        stop_requested: asked now and then.

    Raises:
        Requeue: if `stop_requested` turned true before all were done.
        UserError: what a task raised.
    """
    if not tasks:
        return
    counters = folder / "counters"
    counters.mkdir(parents=True, exist_ok=True)
    for name in (STOP_FILE, ERROR_FILE):
        (counters / name).unlink(missing_ok=True)
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(POLL_SECONDS):
            progress(*_counted(counters))
            if stop_requested():
                (counters / STOP_FILE).touch()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        execute([_Tasks(tasks, counters)], len(tasks), folder, executor, workers, stop_requested)
    except LaunchError:
        if stop_requested():
            raise Requeue("stopped between two parts of the work") from None
        if (counters / ERROR_FILE).exists():
            raise UserError(read_json(counters / ERROR_FILE)["message"]) from None
        raise
    finally:
        finished.set()
        watcher.join()
    progress(*_counted(counters))
    if stop_requested():
        raise Requeue("stopped between two parts of the work")


def _counted(counters: Path) -> tuple[int, int]:
    counts = [path.read_text().split() for path in counters.glob("[0-9]*.count")]
    return sum(int(units) for units, _ in counts), sum(int(documents) for _, documents in counts)
