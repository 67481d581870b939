"""The batch job of one stage: its `sbatch` command, from the stage's resources and the options of the user."""

import argparse
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.lead import lead_seconds, time_seconds
from pipeline.core.errors import ConfigError
from pipeline.core.installation import CHECKOUT
from pipeline.stages import stage_type

LONGEST_LEAD = 65_535
"""Seconds that `sbatch --signal` takes at most."""


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


def sbatch_options(options: Sequence[str]) -> argparse.Namespace:
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


def stage_job(stage: FrozenStage, root: str, common: argparse.Namespace, gpus: bool) -> Job:
    """The batch job of a stage, told to save as long before its end as the stage's attempts measured.

    Args:
        stage: to run.
        root: folder of all runs.
        common: options of the user, as `sbatch_options` gives them.
        gpus: ask for one GPU per rank.

    Raises:
        ConfigError: for a time that is none, or too short to save in.
    """
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


def dependency(job: Job, identities: dict[str, str]) -> list[str]:
    """Options that make a job wait for those of the stages that it reads; the others are done."""
    upstream = sorted({each["stage"] for each in job.stage.inputs.values()})
    waited = [identities[name] for name in upstream if name in identities]
    return [f"--dependency=afterok:{':'.join(waited)}", "--kill-on-invalid-dep=yes"] if waited else []
