"""Suites of `fivephase evaluate`: the files of `conf/evaluation`, and those of the user's own beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.control.compose import own_folder, quoted
from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError
from pipeline.core.installation import CONF

PRIMARY, GROUP = "evaluate", "evaluation"


def suites(config_dir: str | None) -> list[str]:
    """The names of all suites, sorted.

    Args:
        config_dir: folder of the user's own configurations; None is `./conf` where there is one.
    """
    return sorted({path.stem for folder in _folders(config_dir) for path in (folder / GROUP).glob("*.yaml")})


def compose_suite(suite: str, overrides: Sequence[str], config_dir: str | None) -> dict[str, Any]:
    """The settings of a suite with overrides applied, as plain values.

    Args:
        suite: its name.
        overrides: Hydra's, of the suite's keys: `probes.lengths=[1024]`.
        config_dir: folder of the user's own configurations; None is `./conf` where there is one.

    Raises:
        ConfigError: for a suite that does not exist, with the nearest that does; one that is empty or no YAML; an
            override that cannot be read or names a key that there is not.
    """
    names = suites(config_dir)
    if suite not in names:
        raise ConfigError(f"suite={suite}: no such suite, {nearest(suite, names)}")
    folders = _folders(config_dir)
    _check_names(folders)
    own = ",".join(f'"file://{quoted(folder)}"' for folder in folders[1:])
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            config = hydra.compose(
                PRIMARY,
                overrides=[f"{GROUP}={suite}", *map(_of_group, overrides), f"hydra.searchpath=[{own}]"],
            )
        found: Any = OmegaConf.to_container(config[GROUP], resolve=True) if config.get(GROUP) else {}
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"suite={suite}: {_explain(error)}") from None
    if not found:
        raise ConfigError(
            f"suite={suite}: is empty, {_file(folders, suite)} has no key; set text, probes or another part"
        )
    return found


def _folders(config_dir: str | None) -> list[Path]:
    own = own_folder(config_dir)
    return [CONF] if own is None else [CONF, own.resolve()]


def _check_names(folders: Sequence[Path]) -> None:
    """A built-in name means the same everywhere."""
    for path in sorted((CONF / GROUP).glob("*.yaml")):
        for folder in folders[1:]:
            same = folder / GROUP / path.name
            if same.is_file() and same.read_bytes() != path.read_bytes():
                raise ConfigError(f"{same}: a built-in suite has this name and says something else; rename the file")


def _of_group(override: str) -> str:
    """An override of a suite's key as one of the composed configuration."""
    if "=" not in override and not override.startswith("~"):
        raise ConfigError(f"{override}: not an override, write key=value, such as probes.lengths=[1024]")
    prefix = override[: len(override) - len(override.lstrip("+~"))]
    # A suite may leave out keys that the settings have: which there are, the settings say.
    return f"{prefix or '++'}{GROUP}.{override[len(prefix) :]}"


def _file(folders: Sequence[Path], suite: str) -> Path:
    return next(path for folder in folders if (path := folder / GROUP / f"{suite}.yaml").is_file())


def _explain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
