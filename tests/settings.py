"""Settings of stages and models for tests: those of conf/, with what a test changes."""

import copy
import functools
from typing import Any

from pipeline.control.compose import compose, typed
from pipeline.core.config import RunConfig, build
from pipeline.environments import ProblemConfig
from pipeline.pretraining.model_config import ModelConfig
from pipeline.stages import load_symbol, stage_type

EASY = ProblemConfig(difficulty=1, assistant="Fivephase")
"""Problems of one step."""


@functools.cache
def _run(scale: str, *overrides: str) -> RunConfig:
    return typed(compose([f"scale={scale}", *overrides]))


def stage_settings(stage: str, scale: str = "smoke", **changes: Any) -> dict[str, Any]:
    """The settings of a stage as its frozen configuration has them; a change replaces the whole of a key."""
    found = _run(scale).stages[stage]
    assert found is not None
    return {**copy.deepcopy(found.config), **changes}


def stage_config(stage: str, scale: str = "smoke", **changes: Any) -> Any:
    """The same, built: an instance of the dataclass of the stage's kind.

    Raises:
        ConfigError: for a change that the dataclass refuses.
    """
    found = _run(scale).stages[stage]
    assert found is not None
    cls = load_symbol(stage_type(found.kind, stage).config)
    return build(cls, stage_settings(stage, scale, **changes), f"stages.{stage}.config")


def language_model_settings(**changes: Any) -> dict[str, Any]:
    """The settings of a language model that synthesizes, as `language_model=endpoint` has them; a change gives its url
    and name."""
    found = _run("smoke", "language_model=endpoint").stages["synthesize"]
    assert found is not None
    return {**copy.deepcopy(found.config["language_model"]), **changes}


def judge_settings(**changes: Any) -> dict[str, Any]:
    """The settings of a judge, as `judge=endpoint` has them; a change of `endpoint` gives its url and model."""
    found = _run("smoke", "judge=endpoint").stages["sft_data"]
    assert found is not None
    judge = copy.deepcopy(found.config["judge"])
    return {**judge, **changes, "endpoint": {**judge["endpoint"], **changes.get("endpoint", {})}}


def model_shape(**changes: Any) -> ModelConfig:
    """A shape with the multipliers of Granite 4.1 8B (base width 256), and the sizes that a test sets."""
    return build(ModelConfig, {**_run("granite_4_1_8b").model, **changes}, "model")
