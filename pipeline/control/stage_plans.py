"""What the settings of stages say of the work ahead: asks each stage's dataclass that has a `plan`."""

from collections.abc import Container

from pipeline.control.frozen_stages import FrozenStage
from pipeline.core.config import ResourcesConfig, build
from pipeline.core.errors import ConfigError
from pipeline.core.stage_plan import StagePlan
from pipeline.pretraining.model_config import ModelConfig
from pipeline.stages import load_symbol, stage_type


def plan_stages(stages: list[FrozenStage], made: Container[str] = ()) -> dict[str, StagePlan]:
    """The plan of each stage that is made here and whose settings give one, by name.

    Args:
        stages: all of a run.
        made: names of those that need no plan, since they are finished.

    Raises:
        ConfigError: for what cannot run, such as a trainer that its GPUs cannot hold.
        DataError: for a file of one's own that cannot be used.
    """
    by_name = {stage.stage: stage for stage in stages}
    plans = {}
    for stage in stages:
        where = f"stages.{stage.stage}.config"
        config_class = load_symbol(stage_type(stage.kind, stage.stage).config)
        if stage.folder is not None or stage.stage in made or not hasattr(config_class, "plan"):
            continue
        upstream = {role: by_name[each["stage"]] for role, each in stage.inputs.items() if each.get("stage") in by_name}
        try:
            plans[stage.stage] = build(config_class, stage.config, where).plan(
                build(ResourcesConfig, stage.resources, f"stages.{stage.stage}.resources"),
                {role: _shape(each, by_name) for role, each in upstream.items()},
                {role: each.config for role, each in upstream.items()},
            )
        except ConfigError as error:
            raise ConfigError(f"{where}.{error}") from None
    return plans


def _shape(stage: FrozenStage, by_name: dict[str, FrozenStage]) -> ModelConfig | None:
    """The shape of a stage's model: that of the last phase of pretraining before it; None if no phase says it."""
    if stage.kind == "pretrain":
        shape = stage.config.get("model")
        return None if shape is None else build(ModelConfig, shape, f"stages.{stage.stage}.config.model")
    upstream = by_name.get(stage.inputs.get("model", {}).get("stage", ""))
    return None if upstream is None else _shape(upstream, by_name)


def check_packages(stages: list[FrozenStage]) -> None:
    """Makes sure that this machine has the packages that stages need which it is to run.

    Raises:
        ConfigError: for one that is missing, with the setting that needs it and the remedy.
    """
    for stage in stages:
        config_class = load_symbol(stage_type(stage.kind, stage.stage).config)
        if stage.folder is None and hasattr(config_class, "check_packages"):
            build(config_class, stage.config, f"stages.{stage.stage}.config").check_packages(stage.stage)
