"""Stages of a run: frozen with a fingerprint, selected, and prepared in folders of which finished ones are skipped.

The folder of a stage belongs to one fingerprint at a time. When the configuration changes, the folder moves to
`superseded/`; when it changes back, the folder returns. A folder that a process works on, or reads, does not move.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.artifact import MANIFEST, PUBLISHING, check_sizes, finish_publishing, is_tidy, read_manifest, remedy
from pipeline.core.config import RunConfig, StageConfig, build, canonical_json, fingerprint, nearest
from pipeline.core.errors import ArtifactError, BusyError, ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.core.installation import code_hash
from pipeline.core.lock import readers, stage_lock
from pipeline.stages import load_symbol, stage_type

FROZEN = "config.json"
"""File of a stage's folder with its frozen configuration."""
SUPERSEDED = "superseded"
"""Folder of a run with the folders that stages had with other configurations."""
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
    """Role to `{"stage", "fingerprint"}` of the artifact to read."""
    config: dict[str, Any]
    """The settings of its kind, as composed."""
    tracking: dict[str, Any]
    resources: dict[str, Any]
    version: int | None = None
    """Version of its kind; None if it was frozen before there was this field."""
    code: str | None = None
    """Hash of this package's sources when it was frozen."""

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
            version=stage_type(stage.kind, name).version,
            code=code_hash(),
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


def dependents(stages: list[FrozenStage], name: str) -> list[FrozenStage]:
    """A stage and all that read it, directly or through others, in order."""
    found = {name}
    for stage in stages:
        if any(each["stage"] in found for each in stage.inputs.values()):
            found.add(stage.stage)
    return [stage for stage in stages if stage.stage in found]


def is_done(stage: FrozenStage, directory: Path) -> bool:
    """Whether a stage has an artifact that was made with this very configuration.

    Args:
        stage: the stage.
        directory: its folder, wherever the run was copied or moved since the stage was frozen.

    Raises:
        ArtifactError: if it has, but a file is missing or of another size than the manifest says, or if it was made
            from other files than its inputs have now.
    """
    manifest = read_manifest(directory)
    if manifest is None or manifest.fingerprint != stage.fingerprint:
        return False
    check_sizes(directory, stage.fingerprint)
    for read in manifest.inputs.values():
        upstream = read_manifest(directory.parent / read["stage"])
        # Inputs may be gone, to free their space, or have been made anew for other stages of the run.
        if upstream is None or upstream.fingerprint != read["fingerprint"]:
            continue
        if "content" in read and upstream.content != read["content"]:
            raise ArtifactError(
                f"{directory}: made from other files of {read['stage']} than there are now; {remedy(directory)}"
            )
    return True


def is_done_or_publishing(stage: FrozenStage, directory: Path) -> bool:
    """As `is_done`, for ranks other than 0: an interrupted publishing counts, which rank 0 completes meanwhile."""
    # First the file that disappears, then the one that it becomes.
    publishing = directory / PUBLISHING
    try:
        if read_json(publishing)["fingerprint"] == stage.fingerprint:
            return True
    except FileNotFoundError:
        pass
    return is_done(stage, directory)


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


def prepare(stage: FrozenStage, root: str | Path) -> bool:
    """Makes the folder of a stage ready for a worker; True if the stage is finished and needs none.

    1. An interrupted publishing is completed, so that the folder says truly whose it is.
    2. If it belongs to another configuration, the whole folder, finished or not, moves to `<run>/superseded/`: weeks of
       work are never overwritten, and half-done work of other settings is never continued.
    3. If a folder of this configuration was moved there before, it comes back, finished or with a state to resume from.
    4. Unless the stage is finished, its frozen configuration is written, which makes the folder this configuration's.

    Every step is a rename or a file that appears whole, so that a kill in between leaves what the next call completes.

    Raises:
        BusyError: if a process works on the stage, or would lose the folder that it reads. The line names that process
            and, if it works with another configuration, the first keys that differ.
    """
    directory = stage.directory(root)
    if is_tidy(directory) and is_done(stage, directory):
        return True
    try:
        with stage_lock(directory):
            return _prepare(stage, directory)
    except BusyError as error:
        differing = differences(directory, stage)
        how = f" with another configuration ({differing})" if differing else ""
        raise BusyError(f"{error}{how}; wait for it, or stop it first, or take another name with run=") from None


def _prepare(stage: FrozenStage, directory: Path) -> bool:
    finish_publishing(directory)
    found = _fingerprint_of(directory)
    if found is not None and found != stage.fingerprint:
        _set_aside(directory, _superseded_folder(directory, found))
        found = None
    previous = _superseded_folder(directory, stage.fingerprint)
    if found is None and previous.exists():
        # A folder with logs alone, such as those of jobs that found no configuration, is in the way.
        if directory.exists():
            _set_aside(directory, previous.with_name(f"{directory.name}-unfinished"))
        previous.rename(directory)
        finish_publishing(directory)
    if is_done(stage, directory):
        return True
    write_frozen(directory, stage)
    return False


def set_aside(stage: FrozenStage, root: str | Path) -> Path | None:
    """Moves the folder of a stage to `<run>/superseded/`, from where it never comes back by itself.

    Returns:
        Where it is now; None if there was none.

    Raises:
        BusyError: if a process works on the stage, or on one that reads it.
    """
    directory = stage.directory(root)
    if not directory.exists():
        return None
    with stage_lock(directory):
        return _set_aside(directory, directory.parent / SUPERSEDED / f"{directory.name}-remade")


def _set_aside(directory: Path, place: Path) -> Path:
    reading = readers(directory)
    if reading:
        raise BusyError(f"{directory}: {reading[0]} reads it")
    place.parent.mkdir(exist_ok=True)
    return directory.rename(_unused(place))


def differences(directory: Path, stage: FrozenStage) -> str:
    """The first keys in which the configuration frozen in a folder differs from another, as `key: there, here`."""
    try:
        there = _flat(dataclasses.asdict(read_frozen(directory)))
    except ConfigError:
        return ""
    here = _flat(dataclasses.asdict(stage))
    keys = [
        key
        for key in sorted({*there, *here})
        if there.get(key) != here.get(key) and key.split(".")[0] in ("config", "seed", "inputs", "version")
    ]
    shown = [f"{key}: {there.get(key)}, here {here.get(key)}" for key in keys[:DIFFERENCES_SHOWN]]
    return "; ".join([*shown, f"{len(keys) - len(shown)} more"] if len(keys) > len(shown) else shown)


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Nested mappings as one, whose keys are joined with dots."""
    if not isinstance(value, dict):
        return {key: value}
    return {k: v for name, each in value.items() for k, v in _flat(each, f"{key}.{name}" if key else name).items()}


def _fingerprint_of(directory: Path) -> str | None:
    """The fingerprint that a stage's folder belongs to, or None if it has neither manifest nor configuration."""
    for name in (MANIFEST, FROZEN):
        if (directory / name).exists():
            try:
                return str(read_json(directory / name)["fingerprint"])
            except (ValueError, TypeError, KeyError) as error:
                raise ArtifactError(f"{directory / name}: cannot be read ({error}); {remedy(directory)}") from None
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
            directory = by_name[name].directory(root)
            if (directory / PUBLISHING).exists():
                with stage_lock(directory):
                    finish_publishing(directory)
            if not is_done(by_name[name], directory):
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
