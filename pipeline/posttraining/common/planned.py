"""The plan of a trainer: the arithmetic of its steps, the memory it takes of a GPU, packages that are missing here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.core.config import ResourcesConfig
from pipeline.core.stage_plan import StagePlan
from pipeline.posttraining.common.config import TrainingConfig
from pipeline.posttraining.common.gpu_memory import GB, check_memory, measurement_warning, memory_line, model_states
from pipeline.posttraining.common.packages import missing_packages
from pipeline.posttraining.common.row_recipes import load_row_recipes
from pipeline.pretraining.model_config import ModelConfig

Models = Mapping[str, ModelConfig | None]
"""Input to the shape of its model; None for one that is known only once its checkpoint is read."""
Upstream = Mapping[str, Mapping[str, Any]]
"""Input to the settings of the stage that makes it."""


def plan_training(
    config: TrainingConfig,
    resources: ResourcesConfig,
    models: Models,
    beside: Mapping[str, float] | None = None,
    further: str = "",
) -> StagePlan:
    """What every trainer's plan says: samples of a step over the ranks, memory, and what is not installed here.

    Args:
        config: of the trainer.
        resources: ranks, and the memory of their GPUs.
        models: shapes of the inputs' models.
        beside: bytes on each GPU of what is there beside the model that is trained, by what they hold.
        further: a remedy where memory does not suffice, beside ZeRO's stages and more ranks.

    Raises:
        ConfigError: if the ranks cannot share a step evenly, or what they need does not fit their GPUs.
    """
    _, arithmetic = config.step_size.shared_by(resources.ranks)
    lines = [arithmetic]
    if (shape := models.get("model")) is not None:
        parts = {**model_states(config, shape.parameters, resources.ranks), **(beside or {})}
        check_memory(config, parts, resources.gpu_memory_gb, further)
        if resources.gpu_memory_gb or sum(parts.values()) >= GB:
            lines.append(f"memory per GPU: {memory_line(parts, resources.gpu_memory_gb)}")
    return StagePlan(lines=tuple(lines), warnings=tuple(missing_packages(config)))


def with_measurement(
    plan: StagePlan, config: Any, resources: ResourcesConfig, models: Models, tokens: int, others: float = 0.0
) -> StagePlan:
    """The plan with a warning, where the replies of a measurement may not fit a GPU.

    Args:
        plan: of the trainer.
        config: of the trainer, with `probe`.
        resources: with the memory of the GPUs.
        models: shapes of the inputs' models.
        tokens: of a prompt with a reply, at most.
        others: bytes of the models that reward replies.
    """
    if (shape := models.get("model")) is None:
        return plan
    said = measurement_warning(config, config.probe, shape, tokens, others, resources.gpu_memory_gb)
    return replace(plan, warnings=(*plan.warnings, said)) if said else plan


def with_epochs(plan: StagePlan, config: Any, samples: int | None) -> StagePlan:
    """The plan with the steps that passes over the samples take, at most: rules and limits leave some out.

    Args:
        plan: of the trainer.
        config: of the trainer, with `epochs`.
        samples: the most there can be; None where only reading them tells.
    """
    if samples is None:
        return plan
    steps = math.ceil(math.ceil(samples / config.step_size.per_step) * config.epochs)
    return replace(plan, steps=f"≤ {steps:,}")


def most_conversations(data: Mapping[str, Any]) -> int | None:
    """The most conversations that a stage `sft_data` gives to train on; None where only reading them tells.

    A recipe has at most its share of the stage's samples, or, of the generators alone, what these make.

    Args:
        data: settings of the stage.

    Raises:
        RecipeError: for a recipe that cannot be used.
    """
    if data["files"]:
        return None
    made = round(data["conversations"] * (1 - data["validation_share"]))
    most = 0 if data["recipes"] else made
    for recipe, sources in load_row_recipes(data["recipes"], "conversations"):
        if recipe.share is not None and data["samples"] is not None:
            most += round(recipe.share * data["samples"])
        elif all(source.is_built_in for source in sources):
            most += made * len(sources)
        else:
            return None
    return most


def most_pairs(data: Mapping[str, Any]) -> int | None:
    """The most preference pairs that a stage `sft_data` gives to train on; None where only reading them tells.

    Args:
        data: settings of the stage.

    Raises:
        RecipeError: for a recipe that cannot be used.
    """
    elsewhere = data["preference_files"] or load_row_recipes(data["recipes"], "preferences")
    return None if elsewhere else data["preference_pairs"]
