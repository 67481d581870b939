"""Stages of a run: frozen with a fingerprint, selected, and prepared in folders of which finished ones are skipped.

The folder of a stage belongs to one fingerprint at a time. When the configuration changes, the folder moves to
`superseded/`; when it changes back, the folder returns.
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
"""File of a stage's folder with its frozen configuration."""
SUPERSEDED = "superseded"
"""Folder of a run with the folders that stages had with other configurations."""


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
    """Role to `{"stage", "fingerprint"}` of the artifact to read."""
    config: dict[str, Any]
    """The settings of its kind, as composed."""
    tracking: dict[str, Any]
    resources: dict[str, Any]

    def directory(self, root: str | Path) -> Path:
        """The stage's folder below the folder of all runs: `<root>/<run>/<stage>`."""
        return Path(root) / self.run / self.stage


def freeze(config: RunConfig) -> list[FrozenStage]:
    """The stages in order, each with its settings checked and with its fingerprint.

    The fingerprint is a hash of all that decides a stage's result: its kind and the kind's version, its name and the
    seed (which its random streams derive from), its settings, the content of files that they name, and the
    fingerprints of its inputs. Through these, a change travels down the chain: whatever depends on it is made anew, and
    nothing else. Settings that change how fast a result comes but not what it is, such as `workers`, are left out.

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
        fingerprinted = {
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
            fingerprint=fingerprint(fingerprinted),
            seed=config.seed,
            verify_hashes=config.verify_hashes,
            inputs=inputs,
            config=settings,
            tracking=dataclasses.asdict(config.tracking),
            resources=dataclasses.asdict(stage.resources),
        )
    return list(frozen.values())


def _settings(name: str, stage: StageConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a stage as composed, and as plain values those that can change its result.

    The second have the dataclass's defaults filled in, and what its `data_fingerprint` says of the files it names.
    """
    cls = load_symbol(stage_type(stage.kind, name).config)
    built = build(cls, stage.config, where=f"stages.{name}.config")
    relevant = _relevant(built)
    if hasattr(built, "data_fingerprint"):
        relevant = {**relevant, "content": built.data_fingerprint()}
    canonical_json(stage.config)
    return stage.config, relevant


def _relevant(value: Any) -> Any:
    """A dataclass as plain values, without fields whose metadata say `"fingerprint": False`."""
    if dataclasses.is_dataclass(value):
        kept = [f for f in dataclasses.fields(value) if f.metadata.get("fingerprint", True)]
        return {f.name: _relevant(getattr(value, f.name)) for f in kept}
    if isinstance(value, dict):
        return {key: _relevant(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_relevant(each) for each in value]
    return value


def select(stages: list[FrozenStage], first: str | None, last: str | None) -> list[FrozenStage]:
    """The stages from `first` to `last`, both included; None stands for the beginning and the end.

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
    """Whether the stage has an artifact that was made with this very configuration.

    Raises:
        ArtifactError: if it has, but a file is missing or of another size than the manifest says.
    """
    directory = stage.directory(root)
    manifest = read_manifest(directory)
    if manifest is None or manifest.fingerprint != stage.fingerprint:
        return False
    load(directory, stage.fingerprint, hashes=False)
    return True


def prepare(stage: FrozenStage, root: str | Path) -> bool:
    """Makes the folder of a stage ready for a worker; True if the stage is finished and needs none.

    1. An interrupted publishing is completed, so that the folder says truly whose it is.
    2. If it belongs to another configuration, the whole folder, finished or not, moves to `<run>/superseded/`: weeks of
       work are never overwritten, and half-done work of other settings is never continued.
    3. If a folder of this configuration was moved there before, it comes back, finished or with a state to resume from.
    4. Unless the stage is finished, its frozen configuration is written, which makes the folder this configuration's.

    Every step is a rename or a file that appears whole, so that a kill in between leaves what the next call completes.
    """
    directory = stage.directory(root)
    finish_publishing(directory)
    found = _fingerprint_of(directory)
    if found is not None and found != stage.fingerprint:
        _superseded_folder(directory, found).parent.mkdir(exist_ok=True)
        directory.rename(_unused(_superseded_folder(directory, found)))
        found = None
    previous = _superseded_folder(directory, stage.fingerprint)
    if found is None and previous.exists():
        previous.rename(directory)
        finish_publishing(directory)
    if is_done(stage, root):
        return True
    write_json(directory / FROZEN, dataclasses.asdict(stage))
    return False


def _fingerprint_of(directory: Path) -> str | None:
    """The fingerprint that a stage's folder belongs to, or None if it has neither manifest nor configuration."""
    for name in (MANIFEST, FROZEN):
        if (directory / name).exists():
            return str(read_json(directory / name)["fingerprint"])
    return None


def _superseded_folder(directory: Path, digest: str) -> Path:
    """Where the folder of a stage is moved that belongs to a fingerprint."""
    return directory.parent / SUPERSEDED / f"{directory.name}-{digest[:12]}"


def _unused(path: Path) -> Path:
    """The path itself, or the first free one with a number behind it."""
    candidates = (path if n == 0 else path.with_name(f"{path.name}.{n}") for n in range(10_000))
    return next(each for each in candidates if not each.exists())


def check_upstream(stages: list[FrozenStage], selected: list[FrozenStage], root: str | Path) -> None:
    """Makes sure that what the selected stages read is finished or among them.

    Args:
        stages: all stages of the run.
        selected: those that are to run.
        root: folder of all runs.

    Raises:
        ArtifactError: if something is missing; the line names the stage to begin with.
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
    """The number of a stage's next attempt, counted from 1; all ranks of the attempt must be given the same."""
    numbers = [int(path.name) for path in (directory / "attempts").glob("*") if path.name.isdigit()]
    return max(numbers, default=0) + 1


def attempts(directory: Path) -> Iterator[Path]:
    """The folders of a stage's attempts, with logs and progress, newest first."""
    folders = [path for path in (directory / "attempts").glob("*") if path.name.isdigit()]
    yield from sorted(folders, key=lambda path: -int(path.name))
