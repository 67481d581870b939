"""Tasks in processes of this machine, through datatrove's local executor."""

import os
from collections.abc import Callable
from pathlib import Path

import multiprocess.forkserver
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.child_processes import kill_with_parent

PRELOADED = [
    "pipeline.curation.tasks.read_and_filter",
    "pipeline.curation.tasks.deduplicate",
    "spacy.lang.en",
    "trafilatura",
]
"""Imported once, by the server that workers are forked from: spaCy takes seconds."""


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
    locks a fork would copy in whatever state they are. Workers end with this process, even if it is killed. What a
    task raises is raised here.
    """
    multiprocess.forkserver.set_forkserver_preload(PRELOADED)
    kill_with_parent(os.getpid())
    # Two even for one task: datatrove runs what has one worker in this process, which has not imported as much.
    workers = min(workers or len(os.sched_getaffinity(0)), max(2, tasks))
    LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(folder)).run()
