"""Which stages a run has, and in which order: all that are configured, or those of its setting `chain`."""

import dataclasses
from fnmatch import fnmatchcase
from typing import Any

from pipeline.core.config import RunConfig, StageConfig, nearest
from pipeline.core.errors import ConfigError
from pipeline.stages import stage_type


def with_chain(run: RunConfig) -> RunConfig:
    """The same run with the stages that its chain names, in that order; all where it has none.

    What a stage would read of one that is not in the chain is left out, if its kind can do without.

    Raises:
        ConfigError: for a stage that does not exist, is left out elsewhere, or is named twice.
    """
    if run.chain is None:
        return run
    chosen: dict[str, StageConfig | None] = {}
    for name in run.chain:
        if name not in run.stages:
            raise ConfigError(f"chain: no stage {name}, {nearest(name, run.stages)}")
        if name in chosen:
            raise ConfigError(f"chain: names {name} twice, name each stage once")
        stage = run.stages[name]
        if stage is None:
            raise ConfigError(f"chain: {name} is null in stages, leave it out of the chain or give it settings")
        optional = stage_type(stage.kind, name).optional_inputs
        inputs = {
            role: each
            for role, each in stage.inputs.items()
            if each in run.chain or not any(fnmatchcase(role, pattern) for pattern in optional)
        }
        chosen[name] = dataclasses.replace(stage, inputs=inputs)
    return dataclasses.replace(run, stages=chosen)


def without_null_inputs(stages: Any) -> Any:
    """The composed stages without inputs that are null: so a scale takes one away that the stage can do without."""
    if not isinstance(stages, dict):
        return stages
    return {name: _given(stage) for name, stage in stages.items()}


def _given(stage: Any) -> Any:
    if not isinstance(stage, dict) or not isinstance(stage.get("inputs"), dict):
        return stage
    return {**stage, "inputs": {role: each for role, each in stage["inputs"].items() if each is not None}}
