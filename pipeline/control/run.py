"""A run: freeze every stage's configuration, then run the stages in order, skipping what is done.

A stage's folder belongs to one fingerprint at a time. When the configuration changes, the folder moves to
`superseded/`; when it changes back, it returns.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.artifact import MANIFEST, finish_publishing, load, read_manifest
from pipeline.core.config import RunConfig, StageConfig, build, canonical_json, fingerprint, nearest
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.stages import load_symbol, stage_type

FROZEN = "config.json"
SUPERSEDED = "superseded"


@dataclass(frozen=True, kw_only=True)
class FrozenStage:
    """All that a worker reads: written to `<run>/<stage>/config.json` before the stage starts."""

    run: str
    stage: str
    kind: str
    fingerprint: str
    seed: int
    verify_hashes: bool
    inputs: dict[str, dict[str, str]]
    """Role to `{"stage", "fingerprint"}`."""
    config: dict[str, Any]
    tracking: dict[str, Any]
    resources: dict[str, Any]

    def directory(self, root: str | Path) -> Path:
        """`<root>/<run>/<stage>`."""
        return Path(root) / self.run / self.stage


def freeze(config: RunConfig) -> list[FrozenStage]:
    """The stages in order, each with its settings checked and its fingerprint.

    Raises:
        ConfigError: for a stage that reads one that does not come before it, or settings that do not fit.
        RecipeError: for a recipe that cannot be used.
    """
    frozen: dict[str, FrozenStage] = {}
    for name, stage in config.stages.items():
        if stage is None:
            continue
        settings, relevant = _settings(name, stage)
        inputs: dict[str, dict[str, str]] = {}
        for role, upstream in stage.inputs.items():
            if upstream not in frozen:
                raise ConfigError(
                    f"stages.{name}.inputs.{role}={upstream}: no such stage before {name}, "
                    f"{nearest(upstream, frozen) if frozen else 'it is the first'}"
                )
            inputs[role] = {"stage": upstream, "fingerprint": frozen[upstream].fingerprint}
        identity = {
            "kind": stage.kind,
            "version": stage_type(stage.kind, name).version,
            "stage": name,
            "seed": config.seed,
            "inputs": {role: each["fingerprint"] for role, each in inputs.items()},
            "config": relevant,
        }
        frozen[name] = FrozenStage(
            run=config.run,
            stage=name,
            kind=stage.kind,
            fingerprint=fingerprint(identity),
            seed=config.seed,
            verify_hashes=config.verify_hashes,
            inputs=inputs,
            config=settings,
            tracking=dataclasses.asdict(config.tracking),
            resources=dataclasses.asdict(stage.resources),
        )
    return list(frozen.values())


def _settings(name: str, stage: StageConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """A stage's settings: all of them, and those that can change its result."""
    cls = load_symbol(stage_type(stage.kind, name).config)
    built = build(cls, stage.config, where=f"stages.{name}.config")
    relevant = _relevant(built)
    if hasattr(built, "data_fingerprint"):
        relevant = {**relevant, "content": built.data_fingerprint()}
    canonical_json(stage.config)
    return stage.config, relevant


def _relevant(value: Any) -> Any:
    """A dataclass as plain values, without the fields marked as unable to change the result."""
    if dataclasses.is_dataclass(value):
        kept = [f for f in dataclasses.fields(value) if f.metadata.get("fingerprint", True)]
        return {f.name: _relevant(getattr(value, f.name)) for f in kept}
    if isinstance(value, dict):
        return {key: _relevant(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_relevant(each) for each in value]
    return value


def select(stages: list[FrozenStage], first: str | None, last: str | None) -> list[FrozenStage]:
    """The stages from one to another, both included.

    Raises:
        ConfigError: for a stage that does not exist, or an empty range.
    """
    names = [stage.stage for stage in stages]
    for key, name in (("from", first), ("to", last)):
        if name is not None and name not in names:
            raise ConfigError(f"{key}={name}: unknown stage, {nearest(name, names)}")
    begin = names.index(first) if first else 0
    end = names.index(last) if last else len(names) - 1
    if begin > end:
        raise ConfigError(f"from={first} to={last}: {first} comes after {last}, swap them")
    return stages[begin : end + 1]


def is_done(stage: FrozenStage, root: str | Path) -> bool:
    """True if the stage's artifact is there, made with this very configuration, and of the right size."""
    directory = stage.directory(root)
    manifest = read_manifest(directory)
    if manifest is None or manifest.fingerprint != stage.fingerprint:
        return False
    load(directory, stage.fingerprint, hashes=False)
    return True


def prepare(stage: FrozenStage, root: str | Path) -> bool:
    """Gets a stage's folder ready and writes its frozen configuration; True if there is nothing left to do.

    What another configuration left in the folder moves to `<run>/superseded/`, and what this configuration
    left there earlier comes back.
    """
    directory = stage.directory(root)
    finish_publishing(directory)
    owner = _owner(directory)
    if owner is not None and owner != stage.fingerprint:
        _superseded(directory, owner).parent.mkdir(exist_ok=True)
        directory.rename(_unused(_superseded(directory, owner)))
        owner = None
    earlier = _superseded(directory, stage.fingerprint)
    if owner is None and earlier.exists():
        earlier.rename(directory)
        finish_publishing(directory)
    if is_done(stage, root):
        return True
    write_json(directory / FROZEN, dataclasses.asdict(stage))
    return False


def _owner(directory: Path) -> str | None:
    """The fingerprint a stage's folder belongs to, or None for a folder that does not exist."""
    for name in (MANIFEST, FROZEN):
        if (directory / name).exists():
            return str(read_json(directory / name)["fingerprint"])
    return None


def _superseded(directory: Path, owner: str) -> Path:
    return directory.parent / SUPERSEDED / f"{directory.name}-{owner[:12]}"


def _unused(path: Path) -> Path:
    """The path itself, or the first free one with a number behind it."""
    candidates = (path if n == 0 else path.with_name(f"{path.name}.{n}") for n in range(10_000))
    return next(each for each in candidates if not each.exists())


def check_upstream(stages: list[FrozenStage], selected: list[FrozenStage], root: str | Path) -> None:
    """Refuses a part of a run whose inputs have not been made.

    Raises:
        ArtifactError: naming the stage to begin with.
    """
    inside = {stage.stage for stage in selected}
    by_name = {stage.stage: stage for stage in stages}
    for stage in selected:
        for role, upstream in stage.inputs.items():
            name = upstream["stage"]
            if name in inside:
                continue
            finish_publishing(by_name[name].directory(root))
            if not is_done(by_name[name], root):
                raise ArtifactError(
                    f"{stage.stage} reads {name} ({role}), which has not been made with this configuration; "
                    f"run from={name}"
                )


def next_attempt(directory: Path) -> int:
    """The number of the next attempt of a stage."""
    numbers = [int(path.name) for path in (directory / "attempts").glob("*") if path.name.isdigit()]
    return max(numbers, default=0) + 1


def attempts(directory: Path) -> Iterator[Path]:
    """The folders of a stage's attempts, newest first."""
    folders = [path for path in (directory / "attempts").glob("*") if path.name.isdigit()]
    yield from sorted(folders, key=lambda path: -int(path.name))
