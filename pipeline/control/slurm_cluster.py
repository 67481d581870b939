"""What a Slurm cluster says: its partitions, its queue, and whether a job could ever run."""

import argparse
import dataclasses
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.control.lead import time_seconds
from pipeline.control.slurm_jobs import Job
from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError, LaunchError
from pipeline.core.terminal import say

UNAVAILABLE = ("down", "drain", "fail", "maint", "unk", "reboot", "power")
"""Beginnings of states of nodes that may come back, as `sinfo` names them."""


@dataclasses.dataclass(frozen=True)
class Partition:
    """What a job may ask of a partition."""

    seconds: float
    """Longest time limit."""
    nodes: float
    """Most nodes: as many as it has, or fewer where it says so."""


def queued_jobs(jobs: list[Job]) -> dict[str, str]:
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


def check_cluster(jobs: list[Job], common: argparse.Namespace) -> None:
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


def check_each_could_run(jobs: list[Job], options: Sequence[str], common: argparse.Namespace) -> None:
    """Asks Slurm whether each job could ever run, which it does not say of jobs that wait for others."""
    shapes = {(job.stage.resources["nodes"], job.stage.resources["processes_per_node"]): job for job in jobs}
    for job in shapes.values():
        tested = run_command(["sbatch", "--test-only", *job.command[2:], *options, *job.script])
        if tested.returncode == 0:
            continue
        said = reason(tested)
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


def _answer(command: list[str]) -> str:
    """What a command prints that asks Slurm something. With `--all` it has what is in hidden partitions too.

    Raises:
        LaunchError: if it fails, as when the controller does not answer.
    """
    asked = run_command(command)
    if asked.returncode:
        raise LaunchError(f"{command[0]}: failed ({reason(asked)}); try again once it answers, nothing was submitted")
    return asked.stdout


def reason(failed: subprocess.CompletedProcess[str]) -> str:
    """The last line that a command of Slurm's wrote about its failure."""
    return (failed.stderr.strip().splitlines()[-1:] or ["it gave no reason"])[0]


def run_command(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of Slurm's, out of reach of the terminal's Ctrl-C."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, start_new_session=True)
