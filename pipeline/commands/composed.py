"""What a command works on: the composed configuration of a run with its frozen stages."""

import argparse
from dataclasses import dataclass

from pipeline.control.compose import compose, typed
from pipeline.control.domains import check_domains
from pipeline.control.frozen_stages import FrozenStage, freeze, select
from pipeline.control.planning import check_ranks, with_token_budget
from pipeline.core.config import RunConfig
from pipeline.core.tracking import check_login


@dataclass(frozen=True)
class ComposedRun:
    """A run as its options say: the configuration, and all its stages in order."""

    config: RunConfig
    stages: list[FrozenStage]

    @property
    def selected(self) -> list[FrozenStage]:
        """The stages between `from=` and `to=`."""
        return select(self.stages, self.config.first, self.config.last)


def composed_run(options: argparse.Namespace) -> ComposedRun:
    """The run that the options say, to look at."""
    config = typed(compose(options.overrides, options.config_dir))
    return ComposedRun(config, freeze(config))


def checked_run(options: argparse.Namespace) -> ComposedRun:
    """The run that the options say, to work on: domains, ranks, token budget and the login for tracking are checked."""
    run = composed_run(options)
    stage = getattr(options, "stage", None)
    check_domains(run.config.stages, run.stages, select(run.stages, stage, stage) if stage else run.selected)
    check_ranks(run.stages)
    stages = with_token_budget(run.stages)
    check_login(run.config.tracking)
    return ComposedRun(run.config, stages)
