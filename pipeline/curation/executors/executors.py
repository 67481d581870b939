"""Which of datatrove's executors does the work: processes of this machine, a Slurm cluster, or a Ray cluster."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import multiprocess.forkserver
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.core.errors import ConfigError, LaunchError
from pipeline.core.installation import python_path
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.child_processes import tie_processes

SLURM_POLL_SECONDS = 5.0
PRELOADED = [
    "pipeline.curation.tasks.read_and_filter",
    "pipeline.curation.tasks.deduplicate",
    "spacy.lang.en",
    "trafilatura",
]
"""Imported once, by the server that local workers are forked from: spaCy takes seconds."""


def execute(
    steps: list[PipelineStep],
    tasks: int,
    folder: Path,
    executor: ExecutorConfig,
    workers: int | None,
    stop_requested: Callable[[], bool],
) -> None:
    """Runs those tasks that datatrove has not marked done in `folder`, and comes back when none runs any more.

    Raises:
        ConfigError: for a folder that Slurm's scripts cannot name, or Ray that is not installed.
        LaunchError: if tasks on a cluster failed.
    """
    if executor.kind == "local":
        _on_this_machine(steps, tasks, folder, workers)
    elif executor.kind == "slurm":
        _on_slurm(steps, tasks, folder, executor, workers, stop_requested)
    else:
        _on_ray(steps, tasks, folder, executor, workers)


def _on_this_machine(steps: list[PipelineStep], tasks: int, folder: Path, workers: int | None) -> None:
    multiprocess.forkserver.set_forkserver_preload(PRELOADED)
    tie_processes(os.getpid())
    # Two even for one task: datatrove runs what has one worker in this process, which has not imported as much.
    workers = min(workers or len(os.sched_getaffinity(0)), max(2, tasks))
    LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(folder)).run()


def _on_slurm(
    steps: list[PipelineStep],
    tasks: int,
    folder: Path,
    config: ExecutorConfig,
    workers: int | None,
    stop_requested: Callable[[], bool],
) -> None:
    assert config.partition is not None
    if " " in str(folder):
        # datatrove writes paths into its scripts without quotes.
        raise ConfigError(f"executor=slurm: {folder} has a space in its name, set root to a folder without one")
    search_path = shlex.quote(str(Path(sys.executable).parent))
    executor = SlurmPipelineExecutor(
        steps,
        tasks=tasks,
        time=config.time,
        partition=config.partition,
        cpus_per_task=config.cpus_per_task,
        mem_per_cpu_gb=config.memory_gb_per_cpu,
        workers=workers or -1,
        job_name=f"fivephase-{folder.name}",
        qos=config.qos or "",
        # The same interpreter and package on every node, which shares the file system with this one.
        env_command=f"export PATH={search_path}:$PATH PYTHONPATH={shlex.quote(python_path())}",
        # datatrove's last job merges statistics after all others: without this it waits for ever when one fails.
        sbatch_args={"kill-on-invalid-dep": "yes", **config.sbatch},
        logging_dir=str(folder),
        mail_type="NONE",
        tasks_per_job=config.tasks_per_job,
    )
    try:
        executor.run()
    except (OSError, subprocess.CalledProcessError) as error:
        raise LaunchError(f"executor=slurm: a job cannot be submitted: {error}; try sbatch by hand") from None
    job = str(executor.job_id)  # "-1" where an earlier attempt has done everything
    while job != "-1" and _in_queue(job):
        if stop_requested():
            subprocess.run(["scancel", job], check=True)
        time.sleep(SLURM_POLL_SECONDS)
    if missing := executor.get_incomplete_ranks():
        raise LaunchError(
            f"{len(missing)} of {tasks} tasks of job {job} did not end well, the first is {missing[0]}; "
            f"see {folder}/slurm_logs and {folder}/logs, then run again: what is done stays done"
        )


def _in_queue(job: str) -> bool:
    """Whether Slurm still has the job to run, or runs it. A controller that does not answer says nothing."""
    found = subprocess.run(["squeue", "--noheader", f"--jobs={job}"], capture_output=True, text=True)
    # Some minutes after its end Slurm forgets a job, and calls its number invalid.
    return bool(found.stdout.strip()) if found.returncode == 0 else "Invalid job id" not in found.stderr


def _on_ray(steps: list[PipelineStep], tasks: int, folder: Path, config: ExecutorConfig, workers: int | None) -> None:
    try:
        import ray  # type: ignore[import-not-found]
    except ImportError:
        raise ConfigError("executor=ray: Ray is not installed, pip install 'fivephase[ray]'") from None
    ray.init(ignore_reinit_error=True)
    executor = RayPipelineExecutor(
        steps,
        tasks=tasks,
        workers=workers or -1,
        cpus_per_task=config.cpus_per_task,
        mem_per_cpu_gb=config.memory_gb_per_cpu,
        logging_dir=str(folder),
    )
    executor.run()
    if missing := executor.get_incomplete_ranks():
        raise LaunchError(
            f"{len(missing)} of {tasks} tasks on Ray did not end well, the first is {missing[0]}; see {folder}/logs, "
            "then run again: what is done stays done"
        )
