"""Hydra composes the configuration, once, in the control plane."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import pipeline
from pipeline.core.config import RunConfig, build, nearest
from pipeline.core.errors import ConfigError

CONF = Path(pipeline.__file__).resolve().parent.parent / "conf"
RENAMED = {"from": "first", "to": "last"}
"""`from` cannot name a field in Python."""


def compose(overrides: Sequence[str]) -> DictConfig:
    """The configuration of `conf/` with overrides applied.

    Raises:
        ConfigError: for an override or a choice that does not exist, with the nearest that does.
    """
    for override in overrides:
        if "=" not in override and not override.startswith("~"):
            raise ConfigError(f"{override}: not an override, write key=value")
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            config = hydra.compose("config", overrides=list(overrides))
            OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(overrides, error)) from None
    return config


def typed(config: DictConfig) -> RunConfig:
    """The validated form of a composed configuration."""
    mapping: Any = OmegaConf.to_container(config, resolve=True)
    return build(RunConfig, {RENAMED.get(str(key), str(key)): value for key, value in mapping.items()}, where="")


def _explain(overrides: Sequence[str], error: Exception) -> str:
    """Names the override at fault, and the nearest key or choice there is."""
    plain = _plain()
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = CONF / key
        if group.is_dir():
            choices = [path.stem for path in group.glob("*.yaml")]
            if value not in choices:
                return f"{key}={value}: no such choice, {nearest(value, choices)}"
            continue
        at: Any = plain
        for depth, part in enumerate(key.split(".")):
            if not isinstance(at, Mapping) or part not in at:
                place = ".".join(key.split(".")[:depth])
                valid = at.keys() if isinstance(at, Mapping) else ()
                inside = f" in {place}" if place else ""
                return f"{override}: no key {part}{inside}, {nearest(part, [str(k) for k in valid])}"
            at = at[part]
    return " ".join(str(error).split())


def _plain() -> Mapping[str, Any]:
    """The configuration without overrides."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed: Any = OmegaConf.to_container(hydra.compose("config"), resolve=False)
    return composed


def as_yaml(config: DictConfig) -> str:
    """A composed configuration as YAML."""
    return yaml.safe_dump(OmegaConf.to_container(config, resolve=True), sort_keys=False, allow_unicode=True)
