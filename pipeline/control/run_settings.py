"""What a run remembers of its settings: `<root>/<run>/run.json`, with which later commands go on.

It has the overrides of the command line, the configuration that they composed, and every stage's fingerprint. A later
command gives only what is to change: its overrides come on top of the remembered ones.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.control.compose import RENAMED
from pipeline.control.frozen_stages import FROZEN, FrozenStage, flat, read_frozen
from pipeline.core.config import RunConfig, build
from pipeline.core.errors import ConfigError, DamagedFileError
from pipeline.core.files import read_json, write_json

REMEMBERED = "run.json"
"""File of a run's folder with its settings."""
OF_THE_CALL = ("run", "root", "from", "to")
"""Keys that say where a run is and which part of it a command is for. They are not remembered."""
OF_ALL_STAGES = ("scale", "seed", "verify_hashes", "tracking")
"""Keys besides `stages` that say how something is made; the others come into the settings of stages."""
ABSENT = "—"
COMPUTED = "demand"
"""Setting of a frozen stage that is computed from other stages (`planning.with_token_budget`)."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings of a run."""

    overrides: list[str]
    """Those of the command line, without those `OF_THE_CALL`."""
    config_dir: str | None
    """The user's own folder of configurations, relative to the run's; None if there was none."""
    configuration: dict[str, Any]
    """What they composed, without the keys `OF_THE_CALL`."""
    stages: dict[str, dict[str, Any]]
    """Name of a stage to its `fingerprint` and the `version` of its kind."""

    def __post_init__(self) -> None:
        settings = self.configuration.get("stages")
        if not isinstance(settings, dict) or "seed" not in self.configuration:
            raise ValueError("configuration has no stages or no seed")
        for name, stage in settings.items():
            # Null for one that the scale leaves out.
            if stage is not None and not (
                isinstance(stage, dict) and all(isinstance(stage.get(key, {}), dict) for key in ("config", "inputs"))
            ):
                raise ValueError(f"configuration.stages.{name} or its config or inputs: no mapping")
        for name, stage in self.stages.items():
            if missing := {"fingerprint", "version"} - stage.keys():
                raise ValueError(f"stages.{name} has no {min(missing)}")

    @property
    def scale(self) -> str | None:
        """The name of its scale; None for a run that was made before runs remembered it."""
        return self.configuration.get("scale")


@dataclass(frozen=True, kw_only=True)
class ChangedSetting:
    """A setting that differs between two configurations."""

    stages: tuple[str, ...]
    """Stages that have it; none for one of the whole run."""
    key: str
    old: str
    new: str


def key_of(override: str) -> str:
    """The key that a Hydra override sets, adds or deletes."""
    return override.lstrip("+~").partition("=")[0]


def merge_overrides(remembered: Sequence[str], given: Sequence[str]) -> list[str]:
    """The remembered overrides with those of a command on top: one of the same key is replaced."""
    replaced = {key_of(each) for each in given}
    return [*(each for each in remembered if key_of(each) not in replaced), *given]


def settings_of(
    config: RunConfig, stages: Sequence[FrozenStage], overrides: Sequence[str], config_dir: str | None
) -> RunSettings:
    """What a run with this configuration remembers.

    Args:
        config: of the run.
        stages: frozen from it.
        overrides: what it was composed with.
        config_dir: the user's own folder of configurations, relative to the run's.
    """
    of_the_call = [RENAMED.get(key, key) for key in OF_THE_CALL]
    return RunSettings(
        overrides=[each for each in overrides if key_of(each) not in OF_THE_CALL],
        config_dir=config_dir,
        configuration={key: value for key, value in asdict(config).items() if key not in of_the_call},
        stages=_identities(stages),
    )


def _identities(stages: Sequence[FrozenStage]) -> dict[str, dict[str, Any]]:
    return {each.stage: {"fingerprint": each.fingerprint, "version": each.version} for each in stages}


def read_settings(folder: Path, fresh: bool = False) -> RunSettings | None:
    """The settings that a run remembers; None if it has none and no stage either.

    Those of a run that was made before runs remembered them are read from its frozen stages: without a scale and
    overrides, and without the stages that were never started.

    Args:
        folder: of the run.
        fresh: read a damaged file as if there were none, since what it remembers is to be left out.

    Raises:
        DamagedFileError: if the file is not what `write_settings` wrote.
    """
    path = folder / REMEMBERED
    try:
        return build(RunSettings, read_json(path), "")
    except FileNotFoundError:
        return _from_frozen_stages(folder)
    except (IsADirectoryError, PermissionError) as error:
        raise DamagedFileError(
            f"{path}: cannot be read ({str(error.strerror).lower()}); move it elsewhere, and give --fresh once, with "
            "the run's scale= and overrides"
        ) from None
    except (ConfigError, ValueError, TypeError) as error:
        if fresh:
            return _from_frozen_stages(folder)
        why = str(error).removeprefix(": ")
        raise DamagedFileError(
            f"{path}: not the settings of a run ({why}); give --fresh once, with the run's scale= and overrides"
        ) from None


def _from_frozen_stages(folder: Path) -> RunSettings | None:
    frozen: list[FrozenStage] = []
    for path in sorted(folder.glob(f"*/{FROZEN}")):
        try:
            frozen.append(read_frozen(path.parent))
        except ConfigError:
            continue  # damaged: named by whoever is to work with it
    if not frozen:
        return None
    stages = {
        each.stage: {
            "kind": each.kind,
            "inputs": {role: upstream["stage"] for role, upstream in each.inputs.items()},
            "config": each.config,
            "resources": each.resources,
        }
        for each in frozen
    }
    configuration = {"seed": frozen[0].seed, "stages": stages}
    return RunSettings(overrides=[], config_dir=None, configuration=configuration, stages=_identities(frozen))


def write_settings(folder: Path, settings: RunSettings) -> None:
    """Writes a run's settings into its folder; the file appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / REMEMBERED, asdict(settings))


def changed_settings(old: RunSettings, new: RunSettings) -> list[ChangedSetting]:
    """The settings in which two configurations differ; one that several stages share is listed once.

    A stage whose fingerprint differs though neither its settings nor its inputs do is of another version now, or the
    files that its settings name have changed. What an old run does not know (see `read_settings`) is not compared.
    """
    before, after = (flat({key: each.configuration.get(key) for key in OF_ALL_STAGES}) for each in (old, new))
    of_run = [(key, before[key], after.get(key)) for key in before if before[key] != after.get(key)]
    found = [
        ChangedSetting(stages=(), key=key, old=_text(was), new=_text(now))
        for key, was, now in of_run
        if was is not None
    ]
    shared: dict[tuple[str, str, str], list[str]] = {}
    for stage in new.configuration["stages"] | old.configuration["stages"]:
        for change in _changes_of(stage, old, new):
            shared.setdefault(change, []).append(stage)
    return [*found, *(ChangedSetting(stages=tuple(of), key=k, old=o, new=n) for (k, o, n), of in shared.items())]


def _changes_of(stage: str, old: RunSettings, new: RunSettings) -> list[tuple[str, str, str]]:
    """Key, old and new value of each setting of a stage that differs."""
    was, now = (each.configuration["stages"].get(stage) for each in (old, new))
    if not (was and now):
        known = old.scale is not None and (was or now)
        return [("(the stage)", "there" if was else ABSENT, "there" if now else ABSENT)] if known else []
    before, after = _by_key(was), _by_key(now)
    keys = [key for key in before | after if before.get(key) != after.get(key)]
    if keys:
        return [(key, _text(before.get(key)), _text(after.get(key))) for key in keys]
    anew = {name for name in old.stages.keys() & new.stages if old.stages[name] != new.stages[name]}
    if (
        stage not in anew
        or anew & set(now["inputs"].values())
        or old.configuration["seed"] != new.configuration["seed"]
    ):
        return []
    versions = old.stages[stage]["version"], new.stages[stage]["version"]
    if versions[0] != versions[1]:
        return [("(version of its kind)", str(versions[0]), str(versions[1]))]
    return [("(its files or defaults)", "", "changed")]


def _by_key(stage: dict[str, Any]) -> dict[str, Any]:
    """The settings of a stage by dotted key, those of its kind without the `config.` before them."""
    of_kind = {key: value for key, value in stage["config"].items() if key != COMPUTED}
    return flat({**{key: value for key, value in stage.items() if key != "config"}, **of_kind})


def _text(value: object) -> str:
    return ABSENT if value is None else str(value)
