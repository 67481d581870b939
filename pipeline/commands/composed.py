"""What a command works on: the configuration of a run, with what the run remembers of earlier commands."""

import argparse
import contextlib
import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from pipeline.commands.changes import say_changes
from pipeline.control.compose import compose, own_folder, quoted, typed
from pipeline.control.domains import check_domains
from pipeline.control.frozen_stages import FROZEN, FrozenStage, freeze, select, select_one
from pipeline.control.planning import check_data, check_ranks, with_token_budget
from pipeline.control.run_settings import (
    REMEMBERED,
    RunSettings,
    key_of,
    merge_overrides,
    read_settings,
    settings_of,
)
from pipeline.control.stage_plans import plan_stages
from pipeline.core.artifact import MANIFEST, read_manifest
from pipeline.core.config import RunConfig, nearest
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.terminal import say
from pipeline.core.tracking import check_login

IDENTIFYING = ("run", "root", "scale")
"""Keys of overrides that say which run is meant."""


@dataclass(frozen=True)
class ComposedRun:
    """A run as its options say: the configuration, and all its stages in order."""

    config: RunConfig
    stages: list[FrozenStage]
    settings: RunSettings
    """What the run is to remember."""
    before: RunSettings | None
    """What it remembers; None for a run that does not exist yet."""
    fresh: bool = False
    """Whether what it remembers is left out."""

    @property
    def selected(self) -> list[FrozenStage]:
        """The stages between `from=` and `to=`."""
        return select(self.stages, self.config.first, self.config.last)

    @property
    def folder(self) -> Path:
        """Where the run is: its folder below that of all runs."""
        return Path(self.config.root) / self.config.run


def composed(options: argparse.Namespace) -> tuple[DictConfig, list[str], RunSettings | None]:
    """The configuration of the run that is meant: the options' overrides on top of those that the run remembers.

    With `--fresh`, or another scale than the run has, what it remembers is left out.

    Returns:
        The configuration, the overrides that it is composed with, and what the run remembers; None if there is no run.
    """
    given = list(options.overrides)
    incomplete = None
    try:
        config = compose(given, options.config_dir)
    except ConfigError as error:
        # What is given may fit only on top of what the run remembers.
        incomplete = error
        config = compose([each for each in given if key_of(each) in IDENTIFYING], options.config_dir)
    run = typed(config)
    folder = Path(run.root) / run.run
    before = read_settings(folder, options.fresh)
    overrides, config_dir = given, options.config_dir
    if before is not None and not options.fresh and not _another_scale(given, before):
        overrides = merge_overrides(before.overrides, given)
        if config_dir is None and before.config_dir is not None and (folder / before.config_dir).is_dir():
            config_dir = str(folder / before.config_dir)
    if (overrides, config_dir) != (given, options.config_dir):
        # The folder was found with these: no remembered scale may name another.
        place = [f"run={run.run}", f'root="{quoted(run.root)}"']
        config = compose(merge_overrides(place, overrides), config_dir)
    elif incomplete is not None:
        raise incomplete
    return config, overrides, before


def _another_scale(given: list[str], before: RunSettings) -> bool:
    """Whether a scale is given that is not the one that the run was composed with."""
    chosen = [each.partition("=")[2] for each in given if key_of(each) == "scale"]
    remembered = [each.partition("=")[2] for each in before.overrides if key_of(each) == "scale"]
    return bool(chosen) and chosen[-1] != (remembered[-1] if remembered else before.scale)


def composed_run(options: argparse.Namespace) -> ComposedRun:
    """The run that the options say, to look at; says which settings differ from those that it remembers."""
    config, overrides, before = composed(options)
    run = typed(config)
    stages = freeze(run)
    own = own_folder(options.config_dir)
    where = os.path.relpath(own, Path(run.root) / run.run) if own is not None else before and before.config_dir
    found = ComposedRun(run, stages, settings_of(run, stages, overrides, where or None), before, options.fresh)
    if before is not None:
        say_changes(found.folder, stages, before, found.settings)
    return found


def check_exists(config: RunConfig) -> None:
    """Makes sure that a run is there.

    Raises:
        ConfigError: if it is not, with the nearest that is.
    """
    names = runs_in(config.root)
    if config.run not in names:
        hint = nearest(config.run, names) if names else "there is none; `fivephase run` makes one"
        raise ConfigError(f"run={config.run}: no such run in {config.root}/, {hint}")


def checked_run(options: argparse.Namespace) -> ComposedRun:
    """The run that the options say, to work on: domains, ranks, token budget and the login for tracking are checked."""
    run = composed_run(options)
    remembered = [each for each in run.settings.overrides if each not in options.overrides]
    if remembered:
        say(f"fivephase: {run.folder} goes on with {shlex.join(remembered)}")
    stage = getattr(options, "stage", None)
    check_domains(run.config, run.stages, select_one(run.stages, stage) if stage else run.selected)
    check_ranks(run.stages)
    made = _made(run)
    for each in check_data([each for each in run.stages if each.stage not in made]):
        say(f"fivephase: {each}")
    plan_stages(run.stages, made)
    stages = with_token_budget(run.stages, run.config.root)
    check_login(run.config.tracking)
    return replace(run, stages=stages)


def _made(run: ComposedRun) -> set[str]:
    """The stages that have an artifact of this configuration: what they read may be out of reach by now."""
    found = set()
    for each in run.stages:
        # A manifest that cannot be read is said where the stage is needed: `remake` mends it.
        with contextlib.suppress(ArtifactError):
            manifest = read_manifest(each.directory(run.config.root))
            if manifest is not None and manifest.fingerprint == each.fingerprint:
                found.add(each.stage)
    return found


def runs_in(root: str | Path) -> list[str]:
    """The names of the runs in a folder of runs: of the folders with settings that are remembered, or with a stage."""
    own = [path.parent for path in Path(root).glob(f"*/{REMEMBERED}")]
    stages = [path.parent.parent for name in (FROZEN, MANIFEST) for path in Path(root).glob(f"*/*/{name}")]
    return sorted({path.name for path in own + stages})
