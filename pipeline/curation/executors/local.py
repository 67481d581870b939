"""Tasks in processes of this machine, run as datatrove runs them, by workers whose death is noticed."""

import contextlib
import copy
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import multiprocess
import multiprocess.forkserver
import multiprocess.resource_tracker
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from multiprocess.connection import Connection, wait
from multiprocess.pool import ExceptionWithTraceback

from pipeline.core.errors import LaunchError, Requeue
from pipeline.core.stop_signals import stop_signals_blocked
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.child_processes import kill_with_parent

PRELOADED = [
    "pipeline.curation.tasks.read_and_filter",
    "pipeline.curation.tasks.deduplicate",
    "spacy.lang.en",
    "trafilatura",
]
"""Imported once, by the server that workers are forked from: spaCy takes seconds."""
POLL_SECONDS = 0.25
SERVER_DIED = 255
"""Exit code that multiprocess gives a worker when the server that forked it is gone."""


def run_locally(
    steps: list[PipelineStep],
    tasks: int,
    folder: Path,
    config: ExecutorConfig,
    workers: int | None,
    stop_requested: Callable[[], bool],
) -> None:
    """Runs those of the tasks that datatrove has not marked done in `folder`, and comes back when all are.

    Workers are forked from a server that has imported what tasks need, and not from this process, whose threads and
    locks a fork would copy in whatever state they are. They end with this process, even if it is killed, and stop
    signals do not reach them: on a stop this process ends them, as a task that is cut short is done again in any case.
    datatrove's own pool is not used, since it waits for ever for the task of a worker that was killed.

    Raises:
        Requeue: if `stop_requested` turned true before all were done.
        LaunchError: if a worker, or the server that forks them, was killed.
        Exception: what a task raised.
    """
    executor = LocalPipelineExecutor(steps, tasks=tasks, logging_dir=str(folder))
    left = executor.get_incomplete_ranks()
    multiprocess.forkserver.set_forkserver_preload(PRELOADED)
    queue = iter(left)
    pool: list[_Worker] = []
    try:
        # By itself: it unblocks SIGTERM when it has started its process.
        with stop_signals_blocked():
            multiprocess.resource_tracker.ensure_running()
        with stop_signals_blocked():
            for number in range(min(workers or len(os.sched_getaffinity(0)), len(left))):
                pool.append(_Worker(executor, number, next(queue)))
        busy = list(pool)
        while busy:
            wait([source for worker in busy for source in worker.sources], POLL_SECONDS)
            if stop_requested():
                raise Requeue("stopped between two parts of the work")
            for worker in [each for each in busy if each.is_done()]:
                if (task := next(queue, None)) is None:
                    busy.remove(worker)
                else:
                    worker.give(task)
    finally:
        for worker in pool:
            worker.end()


class _Worker:
    """A process that does one task after the other, and the pipe to it."""

    def __init__(self, executor: LocalPipelineExecutor, number: int, task: int) -> None:
        """Starts the process with its first task."""
        self._executor, self._task = executor, task
        context: Any = multiprocess.get_context("forkserver")  # type: ignore[attr-defined]
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(executor, number, theirs), name=f"task {task}")
        try:
            self._process.start()
        except (OSError, EOFError):
            raise self._died(SERVER_DIED) from None
        theirs.close()
        self.give(task)

    def give(self, task: int) -> None:
        """Has the process do a task."""
        self._task = task
        # Whether it is still there is looked at in `is_done`.
        with contextlib.suppress(OSError):
            self._pipe.send(task)

    @property
    def sources(self) -> "list[Connection | int]":
        """What to wait for: the pipe, on which the answer comes, and what tells that the process has ended."""
        return [self._pipe, self._process.sentinel]

    def is_done(self) -> bool:
        """Whether the process has done its task.

        Raises:
            Exception: what the task raised.
            LaunchError: if the process is gone.
        """
        if not self._pipe.poll() and self._process.is_alive():
            return False
        try:
            error: Exception | None = self._pipe.recv() if self._pipe.poll() else self._died()
        except (EOFError, OSError):
            error = self._died()
        if error is not None:
            raise error
        return True

    def _died(self, code: int | None = None) -> LaunchError:
        if code is None:
            self._process.join()
            code = self._process.exitcode
        if code == SERVER_DIED:
            how = "the process that starts the workers was killed"
        elif code is not None and code < 0:
            how = f"its worker was killed by signal {-code}"
        else:
            how = f"its worker ended with exit code {code}"
        return LaunchError(
            f"task {self._task} of {self._executor.tasks}: {how}, as by a limit of memory; set workers lower, or give "
            "the job more memory, then run again: what is done stays done"
        )

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self._pipe.close()
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
            # Closes what a worker watches, and with that ends one whose server is gone, which cannot be joined.
            self._process.close()


def _work(executor: LocalPipelineExecutor, number: int, pipe: Connection) -> None:
    """A worker: does the tasks whose numbers come, and answers each with None or what it raised, until the pipe ends.

    Args:
        executor: of datatrove, whose way to run a task and to mark it done is used.
        number: of the worker.
        pipe: to the stage's process.
    """
    kill_with_parent(os.getpid())
    with contextlib.suppress(EOFError):
        for task in iter(pipe.recv, None):
            error: Exception | None = None
            try:
                # A copy: datatrove's steps gather statistics.
                copy.deepcopy(executor)._run_for_rank(task, number)
            except Exception as raised:
                error = _sendable(raised)
            pipe.send(error)


def _sendable(error: Exception) -> Exception:
    """The exception with its traceback as the cause, or one with its text if it cannot be pickled and unpickled."""
    with_traceback = ExceptionWithTraceback(error, error.__traceback__)
    try:
        pickle.loads(pickle.dumps(with_traceback))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return with_traceback  # type: ignore[return-value]
