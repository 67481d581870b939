"""Stages frozen with a fingerprint: each with all the settings that its worker reads, and what decides its result."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.control.stage_inputs import check_inputs
from pipeline.core.artifact import MANIFEST, read_manifest
from pipeline.core.config import RunConfig, StageConfig, build, canonical_json, fingerprint, nearest, relevant
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.core.installation import code_hash
from pipeline.stages import load_symbol, stage_type

FROZEN = "config.json"
"""File of a stage's folder with its frozen configuration."""
DIGEST = "digest"
"""Key of a frozen configuration's file with the hash of all other keys."""
DIFFERENCES_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class FrozenStage:
    """A stage with all that a worker needs to know, as `<run>/<stage>/config.json` has it before the stage starts."""

    run: str
    stage: str
    kind: str
    fingerprint: str
    seed: int
    verify_hashes: bool
    inputs: dict[str, dict[str, str]]
    """Role to `{"stage", "fingerprint"}` of the artifact to read, and `folder` if it is another run's."""
    config: dict[str, Any]
    """The settings of its kind, as composed."""
    tracking: dict[str, Any]
    resources: dict[str, Any]
    version: int | None = None
    """Version of its kind; None if it was frozen before there was this field."""
    code: str | None = None
    """Hash of this package's sources when it was frozen."""
    folder: str | None = None
    """Where its artifact lies, from the run's folder, if another run has made it; None for a stage of this run."""

    def directory(self, root: str | Path) -> Path:
        """The stage's folder below the folder of all runs: `<root>/<run>/<stage>`, or where another run has it."""
        return Path(os.path.normpath(Path(root) / self.run / (self.folder or self.stage)))

    @property
    def as_input(self) -> dict[str, str]:
        """This stage as an entry of `inputs` of one that reads it."""
        elsewhere = {"folder": self.folder} if self.folder is not None else {}
        return {"stage": self.stage, "fingerprint": self.fingerprint, **elsewhere}


def freeze(config: RunConfig) -> list[FrozenStage]:
    """The stages in order, each with its settings checked and with its fingerprint.

    The fingerprint is a hash of all that decides a stage's result: its kind and the kind's version, its name and the
    seed (which its random streams derive from), its settings, the content of files that they name, and the
    fingerprints of its inputs. Through these, a change travels down the chain: whatever depends on it is made anew, and
    nothing else. Settings that change how fast a result comes but not what it is, such as `workers`, are left out.

    Raises:
        ConfigError: for a stage that reads one that does not come before it, or not what it needs, or settings that do
            not fit.
        RecipeError: for a recipe that cannot be used.
    """
    frozen: dict[str, FrozenStage] = {}
    for name, stage in needed_stages(config.stages).items():
        if stage.taken_from is not None:
            frozen[name] = imported_stage(config, name, stage)
            continue
        settings, counting = _settings(name, stage)
        inputs: dict[str, dict[str, str]] = {}
        for role, upstream in stage.inputs.items():
            if upstream not in frozen:
                known = nearest(upstream, frozen) if frozen else "it is the first"
                optional = role not in stage_type(stage.kind, name).inputs
                without = f"; stages.{name}.inputs.{role}=null takes it away" if optional else ""
                raise ConfigError(
                    f"stages.{name}.inputs.{role}={upstream}: no such stage before {name}, {known}{without}"
                )
            inputs[role] = frozen[upstream].as_input
        check_inputs(name, stage.kind, settings, stage.inputs, {each.stage: each.kind for each in frozen.values()})
        fingerprinted = {
            "kind": stage.kind,
            "version": stage_type(stage.kind, name).version,
            "stage": name,
            "seed": config.seed,
            "inputs": {role: each["fingerprint"] for role, each in inputs.items()},
            "config": counting,
        }
        frozen[name] = FrozenStage(
            run=config.run,
            stage=name,
            kind=stage.kind,
            fingerprint=fingerprint(fingerprinted),
            seed=config.seed,
            verify_hashes=config.verify_hashes,
            inputs=inputs,
            config=stage.config,
            tracking=dataclasses.asdict(config.tracking),
            resources=dataclasses.asdict(stage.resources),
            version=stage_type(stage.kind, name).version,
            code=code_hash(),
        )
    return list(frozen.values())


def _settings(name: str, stage: StageConfig) -> tuple[Any, dict[str, Any]]:
    """The settings of a stage, built, and as plain values those that can change its result.

    The second have the dataclass's defaults filled in, and what its `data_fingerprint` says of the files it names.
    """
    cls = load_symbol(stage_type(stage.kind, name).config)
    built = build(cls, stage.config, where=f"stages.{name}.config")
    counting = relevant(built)
    if hasattr(built, "data_fingerprint") and (content := built.data_fingerprint()) is not None:
        counting = {**counting, "content": content}
    canonical_json(stage.config)
    return built, counting


def needed_stages(stages: Mapping[str, StageConfig | None]) -> dict[str, StageConfig]:
    """The stages of a run, in order, without those that only serve what is taken from another run."""
    given = {name: stage for name, stage in stages.items() if stage is not None}
    needless: set[str] = set()
    while True:
        needed = {name: stage for name, stage in given.items() if name not in needless}
        read_here = {each for stage in needed.values() if stage.taken_from is None for each in stage.inputs.values()}
        read = {each for stage in given.values() for each in stage.inputs.values()}
        # What only those read that are left out, is left out as well.
        if not (more := (read - read_here) & needed.keys()):
            return needed
        needless |= more


def imported_stage(config: RunConfig, name: str, stage: StageConfig) -> FrozenStage:
    """A stage as another run has made it: its fingerprint is the artifact's, whatever the settings here say.

    Raises:
        ConfigError: if there is no finished stage, or one of a kind that cannot stand for this one.
    """
    key = f"stages.{name}.from={stage.taken_from}"
    given = Path(str(stage.taken_from))
    places = [given, given / name, Path(config.root) / given, Path(config.root) / given / name]
    directory = next((place for place in places if (place / MANIFEST).is_file()), None)
    manifest = read_manifest(directory) if directory is not None else None
    if directory is None or manifest is None:
        looked = ", ".join(str(place) for place in dict.fromkeys(places))
        raise ConfigError(f"{key}: no finished stage there (looked for {MANIFEST} in {looked}), set the folder of one")
    if manifest.kind != stage.kind and stage.kind not in stage_type(manifest.kind, name).stands_for:
        raise ConfigError(f"{key}: {directory} is a {manifest.kind}, set the folder of a {stage.kind}")
    there = read_frozen(directory)
    if there.fingerprint != manifest.fingerprint:
        raise ConfigError(f"{key}: {directory} is being made with other settings, wait until it is finished")
    run, root = Path(config.root).absolute() / config.run, Path(config.root).absolute()
    absolute = directory.absolute()
    # With the folder of all runs, both may move.
    folder = os.path.relpath(absolute, run) if absolute.is_relative_to(root) else str(absolute)
    return dataclasses.replace(
        there, run=config.run, stage=name, verify_hashes=config.verify_hashes, inputs={}, folder=folder
    )


def select_one(stages: list[FrozenStage], name: str) -> list[FrozenStage]:
    """The stage of a name, alone in a list.

    Raises:
        ConfigError: for a stage that does not exist, or is taken from another run.
    """
    names = [stage.stage for stage in stages]
    if name not in names:
        raise ConfigError(f"{name}: unknown stage, {nearest(name, names)}")
    return select(stages, name, name)


def select(stages: list[FrozenStage], first: str | None, last: str | None) -> list[FrozenStage]:
    """The stages to make from `first` to `last`, both included; None stands for the beginning and the end.

    Those that are taken from another run are not among them.

    Raises:
        ConfigError: for a stage that does not exist, an empty range, or one in which nothing is made here.
    """
    names = [stage.stage for stage in stages]
    for key, name in (("from", first), ("to", last)):
        if name is not None and name not in names:
            raise ConfigError(f"{key}={name}: unknown stage, {nearest(name, names)}")
    begin = names.index(first) if first else 0
    end = names.index(last) if last else len(names) - 1
    if begin > end:
        raise ConfigError(f"from={first} to={last}: {first} comes after {last}, swap them")
    chosen = [stage for stage in stages[begin : end + 1] if stage.folder is None]
    if not chosen:
        raise ConfigError(
            f"stages.{stages[begin].stage}.from: the stage is taken from another run, nothing to make here; work on "
            "it in that run"
        )
    return chosen


def dependents(stages: list[FrozenStage], name: str) -> list[FrozenStage]:
    """A stage and all that read it, directly or through others, in order."""
    found = {name}
    for stage in stages:
        if any(each["stage"] in found for each in stage.inputs.values()):
            found.add(stage.stage)
    return [stage for stage in stages if stage.stage in found]


def write_frozen(directory: Path, stage: FrozenStage) -> None:
    """Writes a stage's frozen configuration into its folder, with a hash by which `read_frozen` knows it again."""
    content = dataclasses.asdict(stage)
    write_json(directory / FROZEN, {**content, DIGEST: fingerprint(content)})


def read_frozen(directory: Path) -> FrozenStage:
    """The stage that is frozen in a folder.

    Raises:
        ConfigError: if there is none, or it was edited.
    """
    path = directory / FROZEN
    again = "run `fivephase plan --freeze` with the settings that you want"
    if not path.exists():
        raise ConfigError(f"{path}: missing; `fivephase run` or `fivephase plan --freeze` writes it")
    try:
        content = read_json(path)
        digest = content.pop(DIGEST, None)
        stage = FrozenStage(**content)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a frozen configuration ({error}); {again}") from None
    # Those of earlier versions have neither a version nor a hash.
    if digest != fingerprint(content) and (stage.version is not None or digest is not None):
        raise ConfigError(f"{path}: edited since it was frozen; {again}")
    return stage


def differences(directory: Path, stage: FrozenStage) -> str:
    """The first keys in which the configuration frozen in a folder differs from another, as `key: there, here`."""
    try:
        there = flat(dataclasses.asdict(read_frozen(directory)))
    except ConfigError:
        return ""
    here = flat(dataclasses.asdict(stage))
    keys = [
        key
        for key in sorted({*there, *here})
        if there.get(key) != here.get(key) and key.split(".")[0] in ("config", "seed", "inputs", "version")
    ]
    shown = [f"{key}: {there.get(key)}, here {here.get(key)}" for key in keys[:DIFFERENCES_SHOWN]]
    return "; ".join([*shown, f"{len(keys) - len(shown)} more"] if len(keys) > len(shown) else shown)


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Nested mappings as one, whose keys are joined with dots."""
    if not isinstance(value, dict):
        return {key: value}
    return {k: v for name, each in value.items() for k, v in flat(each, f"{key}.{name}" if key else name).items()}
