"""Tasks side by side, through datatrove's local executor: each done once, even across a kill.

A task writes what it makes under another name and renames it when it is whole; the executor marks it done
after that. A task cut short is done again, and gives the same bytes.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import multiprocess.forkserver
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.curation.orphans import tie_processes
from pipeline.errors import Requeue

POLL_SECONDS = 0.25
STOP_FILE = "stop"
PRELOADED = ["pipeline.curation.tasks", "spacy.lang.en", "trafilatura"]
"""Imported once, by the server that workers are forked from: spaCy takes seconds."""


class Work(Protocol):
    """One task. It must pickle, and give the same result when done again."""

    def __call__(self, counter: "Counter") -> None:
        """Does it."""
        ...


class Counter:
    """Counts what a task has done, in a file that the parent watches; learns there that it is to stop."""

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"{rank:05d}.count"
        self._stop = folder / STOP_FILE
        self._units = 0
        self._documents = 0
        self._looked = time.monotonic()

    def unit(self, count: int = 1) -> None:
        """Units of work are done, of those that the total counts."""
        self._units += count

    def document(self) -> None:
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

    def __init__(self, tasks: Sequence[Work], counters: Path) -> None:
        super().__init__()
        self.tasks = list(tasks)
        self.counters = counters

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Nothing to pass on."""
        tie_processes(os.getpid())
        counter = Counter(self.counters, rank)
        self.tasks[rank](counter)
        counter.write()
        return iter(())


def run_tasks(
    tasks: Sequence[Work],
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None] = lambda units, documents: None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> None:
    """Does those tasks that an earlier attempt has not done; `folder` keeps which are.

    `progress` is called now and then with the units and documents that the tasks counted.

    Raises:
        Requeue: if `stop_requested` turned true before all were done.
    """
    if not tasks:
        return
    counters = folder / "counters"
    counters.mkdir(parents=True, exist_ok=True)
    (counters / STOP_FILE).unlink(missing_ok=True)
    multiprocess.forkserver.set_forkserver_preload(PRELOADED)
    tie_processes(os.getpid())
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(POLL_SECONDS):
            progress(*_counted(counters))
            if stop_requested():
                (counters / STOP_FILE).touch()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        LocalPipelineExecutor(
            [_Tasks(tasks, counters)],
            tasks=len(tasks),
            workers=min(workers, len(tasks)),
            logging_dir=str(folder),
        ).run()
    finally:
        finished.set()
        watcher.join()
    progress(*_counted(counters))
    if stop_requested():
        raise Requeue("stopped between two parts of the work")


def _counted(counters: Path) -> tuple[int, int]:
    counts = [path.read_text().split() for path in counters.glob("[0-9]*.count")]
    return sum(int(units) for units, _ in counts), sum(int(documents) for _, documents in counts)
