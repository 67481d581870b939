"""Submits a run, or a part of it, to Slurm: one job per stage, each waiting for the stages that it reads.

What the cluster would refuse, or never start, is refused before the first job is submitted; a chain of which a job is
refused after all is canceled whole.
"""

import argparse
import contextlib
import dataclasses
import math
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.control.lead import lead_seconds, time_seconds
from pipeline.control.local_launcher import stop_signals
from pipeline.control.run import FrozenStage, check_upstream, prepare
from pipeline.core.config import nearest
from pipeline.core.context import FINGERPRINT_VARIABLE
from pipeline.core.errors import EXIT_DONE, ConfigError, LaunchError
from pipeline.core.installation import CHECKOUT, python_path
from pipeline.core.terminal import say
from pipeline.stages import stage_type

PYTHON_VARIABLE = "FIVEPHASE_PYTHON"
"""Environment variable with the interpreter that the jobs run, on a file system that all nodes share."""
LONGEST_LEAD = 65_535
"""Seconds that `sbatch --signal` takes at most."""
UNAVAILABLE = ("down", "drain", "fail", "maint", "unk", "reboot", "power")
"""Beginnings of states of nodes that may come back, as `sinfo` names them."""


@dataclasses.dataclass(frozen=True)
class Partition:
    """What a job may ask of a partition."""

    seconds: float
    """Longest time limit."""
    nodes: float
    """Most nodes: as many as it has, or fewer where it says so."""


@dataclasses.dataclass(frozen=True)
class Job:
    """The batch job of one stage."""

    stage: FrozenStage
    directory: Path
    command: tuple[str, ...]
    """`sbatch` with all but the dependency, the batch script and its argument."""

    @property
    def script(self) -> tuple[str, str]:
        """The batch script and its argument, which say in the queue whose job it is."""
        assert CHECKOUT is not None
        return str(CHECKOUT / "launch" / "stage.sbatch"), str(self.directory)

    @property
    def name(self) -> str:
        """Its name in the queue: `<run>/<stage>`."""
        return f"{self.directory.parent.name}/{self.directory.name}"


def submit(
    stages: list[FrozenStage],
    selected: list[FrozenStage],
    root: str,
    options: Sequence[str] = (),
    gpus: bool = False,
    dry_run: bool = False,
) -> int:
    """Submits the selected stages that are not done, and prints the number of the job and the stage of each.

    Args:
        stages: all stages of the run.
        selected: those to submit, in order.
        root: folder of all runs.
        options: of `sbatch`, for every job.
        gpus: ask for one GPU per rank.
        dry_run: print the commands instead, and write nothing.

    Returns:
        The exit code of the command.

    Raises:
        ConfigError: for resources that the cluster does not have, or options that contradict the configuration.
        ArtifactError: if what the stages read is neither finished nor among them.
        LaunchError: if jobs of these stages are queued, if Slurm does not answer, or if `sbatch` refuses a job; then
            none of them is left.
    """
    if CHECKOUT is None:
        raise ConfigError("submit: an installed package has no batch scripts; use launch/chain.sh of a checkout")
    common = _sbatch_options(options)
    jobs = [_job(stage, root, common, gpus) for stage in selected]
    if dry_run:
        identities = {job.stage.stage: f"id-of-{job.stage.stage}" for job in jobs}
        for job in jobs:
            print(shlex.join([*job.command, *_dependency(job, identities), *options, *job.script]))
        return EXIT_DONE
    if shutil.which("sbatch") is None:
        raise LaunchError("submit: no sbatch on this machine; log in to the cluster, or use --dry-run")
    check_upstream(stages, selected, root)
    queued = _queued(jobs)
    if queued:
        numbers = " ".join(queued)
        raise LaunchError(
            f"{next(iter(queued.values()))}: already submitted (jobs {numbers}); wait for them, or `scancel {numbers}`"
        )
    _check_cluster(jobs, common)
    _test(jobs, options, common)
    jobs = [job for job in jobs if not prepare(job.stage, root)]
    if not jobs:
        print(f"nothing to do: all {len(selected)} stages are done with this configuration")
        return EXIT_DONE
    return _submit(jobs, options)


def _sbatch_options(options: Sequence[str]) -> argparse.Namespace:
    """Those of the options that matter here: partition, time, signal and clusters.

    Raises:
        ConfigError: for one that the configuration has the say of.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--partition", "-p", default=os.environ.get("SBATCH_PARTITION"))
    parser.add_argument("--time", "-t")
    parser.add_argument("--signal")
    parser.add_argument("--clusters", "-M", default=os.environ.get("SBATCH_CLUSTERS"))
    owned = {
        "--nodes": "set stages.<stage>.resources.nodes",
        "--ntasks": "set stages.<stage>.resources.processes_per_node",
        "--ntasks-per-node": "set stages.<stage>.resources.processes_per_node",
        "--job-name": "set run=<name>",
        "--dependency": "select the stages with from= and to=",
    }
    for name, short in zip(owned, ("-N", "-n", None, "-J", "-d"), strict=True):
        parser.add_argument(*filter(None, (name, short)), dest=name)
    try:
        known = parser.parse_known_args(list(options))[0]
    except argparse.ArgumentError as error:
        raise ConfigError(f"sbatch options: {error}") from None
    for name, remedy in owned.items():
        if getattr(known, name) is not None:
            raise ConfigError(f"{name}={getattr(known, name)}: the ranks of a stage would not know of it; {remedy}")
    return known


def _job(stage: FrozenStage, root: str, common: argparse.Namespace, gpus: bool) -> Job:
    directory = stage.directory(root).resolve()
    resources = stage.resources
    try:
        limit = time_seconds(common.time or resources["time"])
    except ValueError as error:
        raise ConfigError(f"stages.{stage.stage}.resources.time={error}") from None
    command = [
        "sbatch",
        "--parsable",
        f"--job-name={directory.parent.name}/{stage.stage}",
        f"--nodes={resources['nodes']}",
        f"--ntasks-per-node={resources['processes_per_node']}",
        f"--time={resources['time']}",
        f"--output={directory}/slurm-%j.log",
    ]
    if stage_type(stage.kind, stage.stage).lead_seconds is not None and common.signal is None:
        command.append(f"--signal=B:USR1@{min(LONGEST_LEAD, lead_seconds(stage, directory, limit))}")
    if gpus:
        command.append(f"--gpus-per-node={resources['processes_per_node']}")
    return Job(stage, directory, tuple(command))


def _dependency(job: Job, identities: dict[str, str]) -> list[str]:
    """Options that make a job wait for those of the stages that it reads; the others are done."""
    upstream = sorted({each["stage"] for each in job.stage.inputs.values()})
    waited = [identities[name] for name in upstream if name in identities]
    return [f"--dependency=afterok:{':'.join(waited)}", "--kill-on-invalid-dep=yes"] if waited else []


def _queued(jobs: list[Job]) -> dict[str, str]:
    """Folder by job number, of those jobs of the same stages that are waiting or running."""
    names = ",".join(job.name for job in jobs)
    states = "pending,running,suspended,configuring"
    listed = _answer(["squeue", "--all", "--noheader", f"--name={names}", f"--states={states}", "--format=%i|%o"])
    found = {}
    for line in listed.splitlines():
        number, _, command = line.partition("|")
        for job in jobs:
            # The script may be that of another checkout.
            if command.rstrip().endswith(f"{Path(job.script[0]).name} {job.directory}"):
                found[number] = str(job.directory)
    return found


def _check_cluster(jobs: list[Job], common: argparse.Namespace) -> None:
    """Compares nodes and times with what the partitions allow; `sbatch` would queue some of these jobs for ever."""
    if common.clusters:
        return
    partitions = _partitions()
    default = [name for name in partitions if name.endswith("*")]
    names = common.partition.split(",") if common.partition else [name.rstrip("*") for name in default]
    limits = {name.rstrip("*"): partition for name, partition in partitions.items()}
    for name in names:
        if name not in limits:
            raise ConfigError(f"--partition={name}: no such partition, {nearest(name, limits)}")
    for job in jobs if names else ():
        where, resources = f"stages.{job.stage.stage}.resources", job.stage.resources
        nodes, time = resources["nodes"], common.time or resources["time"]
        most = max(limits[name].nodes for name in names)
        if nodes > most:
            raise ConfigError(
                f"{where}.nodes={nodes}: partition {','.join(names)} gives a job {most:.0f} at most; set fewer, or "
                "name another with -- --partition=<name>"
            )
        longest = max(limits[name].seconds for name in names if limits[name].nodes >= nodes)
        if time_seconds(time) > longest:
            raise ConfigError(
                f"{where}.time={time}: partition {','.join(names)} gives a job {longest / 3600:.4g} hours at most; "
                "set less, a stage that saves goes on in its next job, or name another with -- --partition=<name>"
            )


def _partitions() -> dict[str, Partition]:
    """What each partition allows, by name; the name of the default one ends with an asterisk."""
    found: dict[str, Partition] = {}
    for line in _answer(["sinfo", "--all", "--noheader", "--format=%P|%l|%s|%D"]).splitlines():
        name, time, size, count = line.strip().split("|")
        least = size.split("-")[-1]
        most = math.inf if least == "infinite" else float(least)
        before = found[name].nodes if name in found else 0
        # Nodes in different states are listed apart.
        found[name] = Partition(time_seconds(time), before + int(count))
        found[name] = dataclasses.replace(found[name], nodes=min(most, found[name].nodes))
    return found


def _test(jobs: list[Job], options: Sequence[str], common: argparse.Namespace) -> None:
    """Asks Slurm whether each job could ever run, which it does not say of jobs that wait for others."""
    shapes = {(job.stage.resources["nodes"], job.stage.resources["processes_per_node"]): job for job in jobs}
    for job in shapes.values():
        tested = _run(["sbatch", "--test-only", *job.command[2:], *options, *job.script])
        if tested.returncode == 0:
            continue
        said = _reason(tested)
        # Asked like this, Slurm counts only nodes that are up.
        if "node configuration is not available" in said and _some_unavailable(common):
            say(f"fivephase: {job.stage.stage}: {said}, but some nodes are down; it is submitted and may wait")
            continue
        raise LaunchError(
            f"stages.{job.stage.stage}: Slurm refuses its job ({said}); change its resources or the options after --"
        )


def _some_unavailable(common: argparse.Namespace) -> bool:
    chosen = [f"--partition={common.partition}"] if common.partition else []
    states = _answer(["sinfo", "--all", "--noheader", "--format=%T", *chosen]).split()
    return any(state.startswith(UNAVAILABLE) for state in states)


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
                command = [*job.command, *_dependency(job, identities), *options, *job.script]
                done = _run(command, {**environment, FINGERPRINT_VARIABLE: job.stage.fingerprint})
                if done.returncode:
                    raise LaunchError(f"stages.{job.stage.stage}: sbatch failed ({_reason(done)})")
                identities[job.stage.stage] = done.stdout.strip().split(";")[0]  # a federation adds ;cluster
                if stop.raised:
                    raise LaunchError("stopped while submitting")
    except BaseException as error:
        known = set(identities.values())
        # If the queue cannot be seen, those are canceled whose numbers came.
        with contextlib.suppress(LaunchError):
            known |= _queued(jobs).keys()
        numbers = sorted(known)
        if numbers:
            canceled = _run(["scancel", *numbers]).returncode == 0
            fate = "were canceled" if canceled else f"must be canceled: scancel {' '.join(numbers)}"
            if isinstance(error, LaunchError):
                raise LaunchError(f"{error}; the {len(numbers)} jobs that had been submitted {fate}") from None
        raise
    for stage, number in identities.items():
        print(number, stage)
    return EXIT_DONE


def _answer(command: list[str]) -> str:
    """What a command prints that asks Slurm something. With `--all` it has what is in hidden partitions too.

    Raises:
        LaunchError: if it fails, as when the controller does not answer.
    """
    asked = _run(command)
    if asked.returncode:
        raise LaunchError(f"{command[0]}: failed ({_reason(asked)}); try again once it answers, nothing was submitted")
    return asked.stdout


def _reason(failed: subprocess.CompletedProcess[str]) -> str:
    """The last line that a command of Slurm's wrote about its failure."""
    return (failed.stderr.strip().splitlines()[-1:] or ["it gave no reason"])[0]


def _run(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of Slurm's, out of reach of the terminal's Ctrl-C."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, start_new_session=True)
