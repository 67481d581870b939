"""Submits a run, or a part of it, to Slurm: one job per stage, each waiting for the stages that it reads.

What Slurm would refuse, or never start, is refused before the first job is submitted; a chain of which a job is
refused after all is canceled whole.
"""

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager

from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.local_launcher import stop_signals
from pipeline.control.slurm_cluster import check_cluster, check_each_could_run, queued_jobs, reason, run_command
from pipeline.control.slurm_jobs import Job, dependency, sbatch_options, stage_job
from pipeline.control.stage_folders import check_upstream, prepare
from pipeline.control.stage_plans import check_packages
from pipeline.core.context import FINGERPRINT_VARIABLE
from pipeline.core.errors import EXIT_DONE, ConfigError, LaunchError
from pipeline.core.installation import CHECKOUT, python_path

PYTHON_VARIABLE = "FIVEPHASE_PYTHON"
"""Environment variable with the interpreter that the jobs run, on a file system that all nodes share."""


def submit(
    stages: list[FrozenStage],
    selected: list[FrozenStage],
    root: str,
    options: Sequence[str] = (),
    gpus: bool = False,
    dry_run: bool = False,
    working: AbstractContextManager[None] | None = None,
) -> int:
    """Submits the selected stages that are not done, and prints the number of the job and the stage of each.

    Args:
        stages: all stages of the run.
        selected: those to submit, in order.
        root: folder of all runs.
        options: of `sbatch`, for every job.
        gpus: ask for one GPU per rank.
        dry_run: print the commands instead, and write nothing.
        working: entered once everything is checked, for as long as folders are made ready and jobs submitted.

    Returns:
        The exit code of the command.

    Raises:
        ConfigError: for resources that the Slurm cluster does not have, or options that contradict the configuration.
        ArtifactError: if what the stages read is neither finished nor among them.
        LaunchError: if jobs of these stages are queued, if Slurm does not answer, or if `sbatch` refuses a job; then
            none of them is left.
    """
    if CHECKOUT is None:
        raise ConfigError("submit: an installed package has no batch scripts; use launch/chain.sh of a checkout")
    common = sbatch_options(options)
    jobs = [stage_job(stage, root, common, gpus) for stage in selected]
    if dry_run:
        identities = {job.stage.stage: f"id-of-{job.stage.stage}" for job in jobs}
        for job in jobs:
            print(shlex.join([*job.command, *dependency(job, identities), *options, *job.script]))
        return EXIT_DONE
    if shutil.which("sbatch") is None:
        raise LaunchError("submit: no sbatch on this machine; log in to the Slurm cluster, or use --dry-run")
    check_upstream(stages, selected, root)
    if PYTHON_VARIABLE not in os.environ:
        check_packages(selected)
    queued = queued_jobs(jobs)
    if queued:
        numbers = " ".join(queued)
        raise LaunchError(
            f"{next(iter(queued.values()))}: already submitted (jobs {numbers}); wait for them, or `scancel {numbers}`"
        )
    check_cluster(jobs, common)
    check_each_could_run(jobs, options, common)
    with working or contextlib.nullcontext():
        jobs = [job for job in jobs if not prepare(job.stage, root)]
        if jobs:
            return _submit(jobs, options)
    print(f"nothing to do: all {len(selected)} stages are done with this configuration")
    return EXIT_DONE


def _submit(jobs: list[Job], options: Sequence[str]) -> int:
    """Submits the jobs in order, all or none: a signal, or one that is refused, cancels those before it."""
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        PYTHON_VARIABLE: os.environ.get(PYTHON_VARIABLE, sys.executable),
    }
    identities: dict[str, str] = {}
    try:
        with stop_signals() as stop:
            for job in jobs:
                command = [*job.command, *dependency(job, identities), *options, *job.script]
                done = run_command(command, {**environment, FINGERPRINT_VARIABLE: job.stage.fingerprint})
                if done.returncode:
                    raise LaunchError(f"stages.{job.stage.stage}: sbatch failed ({reason(done)})")
                identities[job.stage.stage] = done.stdout.strip().split(";")[0]  # a federation adds ;cluster
                if stop.raised:
                    raise LaunchError("stopped while submitting")
    except BaseException as error:
        known = set(identities.values())
        # If the queue cannot be seen, those are canceled whose numbers came.
        with contextlib.suppress(LaunchError):
            known |= queued_jobs(jobs).keys()
        numbers = sorted(known)
        if numbers:
            canceled = run_command(["scancel", *numbers]).returncode == 0
            fate = "were canceled" if canceled else f"must be canceled: scancel {' '.join(numbers)}"
            if isinstance(error, LaunchError):
                raise LaunchError(f"{error}; the {len(numbers)} jobs that had been submitted {fate}") from None
        raise
    for stage, number in identities.items():
        print(number, stage)
    return EXIT_DONE
