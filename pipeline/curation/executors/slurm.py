"""Tasks as array jobs of a Slurm cluster, through datatrove's Slurm executor."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from datatrove.executor import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.core.errors import ConfigError, LaunchError
from pipeline.core.installation import python_path
from pipeline.curation.config import ExecutorConfig

POLL_SECONDS = 5.0


def run_on_slurm(
    steps: list[PipelineStep],
    tasks: int,
    folder: Path,
    config: ExecutorConfig,
    workers: int | None,
    stop_requested: Callable[[], bool],
) -> None:
    """Submits those of the tasks that datatrove has not marked done in `folder`, and waits until none is in the queue.

    The folder, this package and its interpreter must be on a file system that all nodes share. When `stop_requested`
    turns true the job is canceled.

    Raises:
        LaunchError: if no job can be submitted, or a task did not end well.
    """
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
        # datatrove's last job merges statistics after all others: without this it waits forever when one fails.
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
        time.sleep(POLL_SECONDS)
    if missing := executor.get_incomplete_ranks():
        raise LaunchError(
            f"{len(missing)} of {tasks} tasks of job {job} did not end well, the first is {missing[0]}; "
            f"see {folder}/slurm_logs and {folder}/logs, then run again: what is done stays done"
        )


def _in_queue(job: str) -> bool:
    """Whether the job waits or runs. A controller that does not answer says nothing, which counts as yes."""
    found = subprocess.run(["squeue", "--noheader", f"--jobs={job}"], capture_output=True, text=True)
    # Some minutes after its end Slurm forgets a job, and calls its number invalid.
    return bool(found.stdout.strip()) if found.returncode == 0 else "Invalid job id" not in found.stderr
