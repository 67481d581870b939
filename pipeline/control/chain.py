"""Which stages a run has, and in which order: all that are configured, or those of its setting `chain`."""

import dataclasses
from typing import Any

from pipeline.core.config import RunConfig, nearest
from pipeline.core.errors import ConfigError


def with_chain(run: RunConfig) -> RunConfig:
    """The same run with the stages that its chain names, in that order; all where it has none.

    Raises:
        ConfigError: for a stage that does not exist, is left out elsewhere, or is named twice.
    """
    if run.chain is None:
        return run
    for name in run.chain:
        if name not in run.stages:
            raise ConfigError(f"chain: no stage {name}, {nearest(name, run.stages)}")
        if run.stages[name] is None:
            raise ConfigError(f"chain: {name} is null in stages, leave it out of the chain or give it settings")
        if run.chain.count(name) > 1:
            raise ConfigError(f"chain: names {name} twice, name each stage once")
    return dataclasses.replace(run, stages={name: run.stages[name] for name in run.chain})


def without_null_inputs(stages: Any) -> Any:
    """The composed stages without inputs that are null: what a stage can do without, it is given by leaving it out."""
    if not isinstance(stages, dict):
        return stages
    return {name: _read(stage) for name, stage in stages.items()}


def _read(stage: Any) -> Any:
    if not isinstance(stage, dict) or not isinstance(stage.get("inputs"), dict):
        return stage
    return {**stage, "inputs": {role: each for role, each in stage["inputs"].items() if each is not None}}
