"""Hydra composes the configuration, once, in the control plane: from `conf/`, the user's own folder and overrides."""

import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from pipeline.control.chain import with_chain, without_null_inputs
from pipeline.control.domains import with_domains
from pipeline.core.config import RunConfig, build, nearest
from pipeline.core.errors import ConfigError
from pipeline.core.installation import CONF

PRIMARY = "config"
OWN_FOLDER = Path("conf")
"""Where the user's own configurations are looked for in the working directory."""
RENAMED = {"from": "first", "to": "last"}
"""`from` cannot name a field in Python."""
MIXTURE, PUBLISHED_MIXTURE = "mixture", "published_mixture"
"""A phase's weights, and those that it has where a configuration gives none. Under one key, Hydra would merge the two:
a mixture of the user's own would keep all domains of the published one."""
EXTENSIBLE = ("config", "inputs")
"""Parts of a stage that may get keys which they have not: the kind of the stage says which it takes."""
FREE_FORM = "deepspeed."
"""What the keys of a mapping outside the stages begin with whose keys DeepSpeed alone knows."""
OWN_NAME = re.compile(r"\[([\w.]+:\w+)\]|(?<=\.)(\w+:\w+)(?=\.|$)")
"""`module:NAME` as a part of a key, which Hydra's grammar has no word for; in brackets where the module has dots."""
OWN_KEY = re.compile(r"""(?<=[{,])(\s*)(["']?)([\w.]+):(\w+)\2(\s*:)""")
"""The same as a key in the braces of a value, also in quotation marks, as YAML has it."""
REPLACED = {"launcher": "executor"}
"""Keys of earlier versions, with what they are called now."""


def compose(overrides: Sequence[str], config_dir: str | None = None) -> DictConfig:
    """The configuration of `conf/` with overrides applied.

    Args:
        overrides: Hydra's, as on the command line.
        config_dir: folder of the user's own choices, such as `scale/mine.yaml`, which stand beside the built-in ones;
            null is `./conf` where there is one.

    Raises:
        ConfigError: for an override or a choice that does not exist, with the nearest that does; for a folder that
            does not exist or has a built-in file's name; for a file that is not YAML.
    """
    folders = _folders(config_dir)
    for override in overrides:
        if override.startswith("=") or ("=" not in override and not override.startswith("~")):
            raise ConfigError(
                f"{override}: not an override, write key=value without spaces, or quote all of it: 'key=[a, b]'"
            )
        _reject_replaced(override)
    try:
        config = _composed(overrides, folders)
        OmegaConf.resolve(config)
    except InterpolationResolutionError as error:
        raise ConfigError(f"{_one_line(error)}, which stages refer to{_own_scale(overrides, folders)}") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(overrides, folders, error)) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {_one_line(error)}") from None
    except ValueError as error:
        where = f"{_undecodable(folders)}: " if isinstance(error, UnicodeDecodeError) else ""
        raise ConfigError(f"{where}not a configuration: {_one_line(error)}") from None
    return config


def typed(config: DictConfig) -> RunConfig:
    """The validated form of a composed configuration."""
    mapping: Any = OmegaConf.to_container(config, resolve=True)
    mapping = {**mapping, "stages": without_null_inputs(mapping["stages"])}
    run = build(RunConfig, {RENAMED.get(str(key), str(key)): value for key, value in mapping.items()}, where="")
    run = with_chain(run)
    return dataclasses.replace(run, stages=with_domains(run.stages))


def as_yaml(config: DictConfig) -> str:
    """A composed configuration as YAML, with every `${…}` replaced by the value that it stands for."""
    return yaml.safe_dump(OmegaConf.to_container(config, resolve=True), sort_keys=False, allow_unicode=True)


def own_folder(config_dir: str | None) -> Path | None:
    """The user's own folder of configurations: that of `--config-dir`, else `./conf`; None if it is the built-in one.

    Raises:
        ConfigError: if the folder that is named does not exist.
    """
    own = OWN_FOLDER if config_dir is None else Path(config_dir)
    if config_dir is not None and not own.is_dir():
        raise ConfigError(f"--config-dir={config_dir}: no such folder, name one with files such as scale/mine.yaml")
    return own if own.is_dir() and own.resolve() != CONF else None


def _folders(config_dir: str | None) -> list[Path]:
    """The folders of configurations: the built-in one, then the user's own if there is one.

    A built-in name means the same in every folder: an own file that says something else under it is an error.
    """
    own = own_folder(config_dir)
    if own is None:
        return [CONF]
    for path in sorted(CONF.glob("*/**/*.yaml")):
        same = own / path.relative_to(CONF)
        if same.is_file() and same.read_bytes() != path.read_bytes():
            raise ConfigError(
                f"{same}: a built-in configuration has this name and says something else; rename the file, or name "
                "another folder with --config-dir"
            )
    return [CONF, own.resolve()]


def _composed(overrides: Sequence[str], folders: Sequence[Path]) -> DictConfig:
    """What Hydra makes of the folders, of which the first has the primary configuration.

    Values of stages are set afterwards, so that an override of a part keeps the rest of what the stage refers to.
    """
    further = ",".join(f'"file://{quoted(folder)}"' for folder in folders[1:])
    with hydra.initialize_config_dir(str(folders[0]), version_base="1.3"):
        # Hydra's parser needs its plugins, which the initialization above loads.
        parsed = [_parsed(each) for each in overrides]
        for text, each in zip(overrides, parsed, strict=True):
            if each.is_sweep_override():
                key, _, value = text.partition("=")
                raise ConfigError(
                    f"{text}: a sweep over several values is not taken; give one value, or quote the text: "
                    f"\"{key}='{value}'\""
                )
            choices = [] if each.is_delete() else _choices(folders, each.key_or_group)
            if choices and not isinstance(each.value(), str | list):
                raise ConfigError(f"{text}: no such choice, {nearest(text.partition('=')[2], choices)}")
        of_stages = [each for each in parsed if _is_value_of_a_stage(each)]
        others = [
            f"++{text}" if text.startswith(FREE_FORM) else text
            for text, each in zip(overrides, parsed, strict=True)
            if each not in of_stages
        ]
        config = hydra.compose(PRIMARY, overrides=[*others, f"hydra.searchpath=[{further}]"])
    if not isinstance(config.get("stages"), DictConfig):
        raise ConfigError(f"stages={config.get('stages')}: no stages; set one to null to leave it out, not all")
    _settle_mixtures(config)
    # What a reference points to is complete before a copy of it is changed.
    for override in sorted(of_stages, key=lambda each: bool(_references(config, each.key_or_group))):
        _set(config, override)
    return config


def _settle_mixtures(config: DictConfig) -> None:
    """Gives every phase without a mixture the published one, before an override changes a weight of it."""
    with open_dict(config):
        for stage in config.stages.values():
            settings = stage.get("config") if isinstance(stage, DictConfig) else None
            if isinstance(settings, DictConfig) and PUBLISHED_MIXTURE in settings:
                published = settings.pop(PUBLISHED_MIXTURE)
                if settings.get(MIXTURE) is None:
                    settings[MIXTURE] = published


def _parsed(override: str) -> Override:
    """What Hydra's grammar makes of an override; the key of one with `module:NAME` has that in brackets.

    Raises:
        ConfigError: if that is nothing, as of a value with a quotation mark.
    """
    key, equals, value = override.partition("=")
    names: list[str] = []
    if key.lstrip("+").startswith("stages."):

        def stand_in(found: re.Match[str]) -> str:
            names.append(found.group(1) or found.group(2))
            return f"{'.' if found.group(1) else ''}own_name_{len(names) - 1}"

        key = OWN_NAME.sub(stand_in, key)
        if value.startswith("{"):
            value = OWN_KEY.sub(r"\1\3\\:\4\5", value)
    parser = OverridesParser.create()
    try:
        parsed = parser.parse_override(f"{key}{equals}{value}")
    except HydraException:
        key, _, value = override.partition("=")
        right = shlex.quote(f'{key}="{quoted(value)}"')
        if value.startswith(("[", "{")):
            right = f"'{key}=[a, b]' or '{key}={{a: 1}}'"
        if key.startswith("~") and OWN_NAME.search(key):
            raise ConfigError(f"{override}: a name with a colon cannot be taken away; write {key[1:]}=0") from None
        raise ConfigError(f"{override}: cannot be read; write {right}, with the quotation marks") from None
    for number, name in enumerate(names):
        parsed.key_or_group = parsed.key_or_group.replace(f".own_name_{number}", f"[{name}]")
    return parsed


def _parts(key: str) -> list[str]:
    """The parts of a key: `a.b[c.d:e]` gives a, b and c.d:e."""
    return [bracketed or plain for bracketed, plain in re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", key)]


def _key(parts: Sequence[str]) -> str:
    """The key with these parts, as OmegaConf reads it."""
    return "".join(f"[{part}]" if ":" in part else f".{part}" for part in parts).removeprefix(".")


def _is_value_of_a_stage(override: Override) -> bool:
    return override.key_or_group.startswith("stages.") and not override.is_delete()


def _references(config: DictConfig, key: str) -> list[str]:
    """The keys on the way to a key that are references to a mapping, such as `${deepspeed}`, outermost first."""
    parts = _parts(key)
    return [
        _key(parts[: depth + 1])
        for depth in range(1, len(parts) - 1)
        if isinstance(parent := OmegaConf.select(config, _key(parts[:depth])), DictConfig)
        and parts[depth] in parent  # what is missing cannot be asked about
        and OmegaConf.is_interpolation(parent, parts[depth])
        and isinstance(OmegaConf.select(config, _key(parts[: depth + 1])), DictConfig)
    ]


def _set(config: DictConfig, override: Override) -> None:
    """Sets a value of a stage as Hydra would, but in a copy of a mapping that the stage refers to.

    Hydra puts the value in the reference's place, so that `+stages.phase1.config.deepspeed.steps_per_print=5` would
    leave `deepspeed` with this key alone.
    """
    key = override.key_or_group
    for reference in _references(config, key):
        OmegaConf.update(config, reference, OmegaConf.select(config, reference), merge=False, force_add=True)
    parts = _parts(key)
    # Settings and inputs may get keys that they have not, with mappings around them: the stage's kind says which it
    # takes, and its dataclass names the nearest.
    further = (len(parts) > 3 and parts[2] in EXTENSIBLE) or parts[2:] == ["from"]
    added = override.is_add() or override.is_force_add()
    added = added or (further and isinstance(OmegaConf.select(config, _key(parts[:2])), DictConfig))
    added = added or isinstance(OmegaConf.select(config, key), DictConfig)
    OmegaConf.update(config, key, override.value(), merge=parts[2:] != ["config", MIXTURE], force_add=added)


def quoted(path: str | Path) -> str:
    """A path as it stands between the double quotes of Hydra's grammar."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _reject_replaced(override: str) -> None:
    key, equals, value = override.partition("=")
    parts = key.lstrip("+~").split(".")
    for old, new in REPLACED.items():
        if old in parts:
            prefix = key[: len(key) - len(key.lstrip("+~"))]
            now = prefix + ".".join(new if part == old else part for part in parts)
            raise ConfigError(f"{override}: {old} is called {new} now, write {now}{equals}{value}")


def _explain(overrides: Sequence[str], folders: Sequence[Path], error: Exception) -> str:
    """Names the override at fault, and the nearest key or choice there is."""
    chosen: list[str] = []
    keys: list[tuple[str, str]] = []
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        choices = _choices(folders, key)
        if not choices:
            keys.append((override, key))
            continue
        if value not in choices:
            own = "" if len(folders) > 1 else "; there is no ./conf here with configurations of your own"
            return f"{key}={value}: no such choice, {nearest(value, choices)}{own}"
        chosen.append(override)
    try:
        plain: Any = OmegaConf.to_container(_composed(chosen, folders), resolve=True)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError):
        return _one_line(error)
    for override, key in keys:
        at: Any = plain
        for depth, part in enumerate(key.split(".")):
            if not isinstance(at, Mapping) or part not in at:
                place = ".".join(key.split(".")[:depth])
                valid = at.keys() if isinstance(at, Mapping) else ()
                inside = f" in {place}" if place else ""
                return f"{override}: no key {part}{inside}, {nearest(part, [str(k) for k in valid])}"
            at = at[part]
    return _one_line(error)


def _choices(folders: Sequence[Path], key: str) -> list[str]:
    """The choices of a group of configurations; none if the key is that of no group."""
    return [path.stem for folder in folders if key for path in (folder / key).glob("*.yaml")]


def _own_scale(overrides: Sequence[str], folders: Sequence[Path]) -> str:
    """What to do about a key that is missing, as all are that a scale of one's own leaves out and does not inherit."""
    names = [override.partition("=")[2] for override in overrides if override.startswith("scale=")]
    own = [folder / "scale" / f"{name}.yaml" for folder in folders[1:] for name in names]
    if not any(path.is_file() for path in own):
        return "; set it"
    remedy = "set it in {}, or begin that with `defaults: [smoke, _self_]` as docs/how_to/own_configuration.md does"
    return f"; {remedy.format(own[-1])}"


def _undecodable(folders: Sequence[Path]) -> Path:
    """The first file of configurations that is not UTF-8."""
    for path in (path for folder in folders for path in sorted(folder.rglob("*.yaml")) if path.is_file()):
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return path
    return folders[-1]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or f"an interpolation does not parse ({type(error).__name__})"
