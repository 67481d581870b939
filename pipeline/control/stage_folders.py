"""The folders of stages: whether one is finished, and made ready for a worker.

The folder of a stage belongs to one fingerprint at a time. When the configuration changes, the folder moves to
`superseded/`; when it changes back, the folder returns. A folder that a process works on, or reads, does not move.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.control.frozen_stages import FROZEN, FrozenStage, differences, write_frozen
from pipeline.core.artifact import (
    MANIFEST,
    PUBLISHING,
    check_sizes,
    finish_publishing,
    input_folder,
    is_tidy,
    read_manifest,
    remedy,
)
from pipeline.core.errors import ArtifactError, BusyError
from pipeline.core.files import read_json
from pipeline.core.lock import readers, stage_lock

SUPERSEDED = "superseded"
"""Folder of a run with the folders that stages had with other configurations."""


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
        upstream = read_manifest(input_folder(directory.parent, read))
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
        _set_aside(directory, superseded_folder(directory, found))
        found = None
    previous = superseded_folder(directory, stage.fingerprint)
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


def finished_otherwise(stage: FrozenStage, root: str | Path) -> bool:
    """Whether the folder of a stage has an artifact of another configuration, which `prepare` would set aside."""
    directory = stage.directory(root)
    try:
        manifest = read_manifest(directory, PUBLISHING) or read_manifest(directory)
    except ArtifactError:
        return False  # damaged, which `prepare` says
    return manifest is not None and manifest.fingerprint != stage.fingerprint


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


def _fingerprint_of(directory: Path) -> str | None:
    """The fingerprint that a stage's folder belongs to, or None if it has neither manifest nor configuration."""
    for name in (MANIFEST, FROZEN):
        if (directory / name).exists():
            try:
                return str(read_json(directory / name)["fingerprint"])
            except (ValueError, TypeError, KeyError) as error:
                raise ArtifactError(f"{directory / name}: cannot be read ({error}); {remedy(directory)}") from None
    return None


def superseded_folder(directory: Path, digest: str) -> Path:
    """Where the folder of a stage is moved that belongs to a fingerprint."""
    return directory.parent / SUPERSEDED / f"{directory.name}-{digest[:12]}"


def _unused(path: Path) -> Path:
    """The path itself, or the first free one with a number behind it."""
    candidates = (path if n == 0 else path.with_name(f"{path.name}.{n}") for n in range(10_000))
    return next(each for each in candidates if not each.exists())


def check_upstream(stages: list[FrozenStage], selected: list[FrozenStage], root: str | Path) -> None:
    """Makes sure that what the selected stages read is finished or among them.

    Args:
        stages: all stages of the run, in order.
        selected: those that are to run.
        root: folder of all runs.

    Raises:
        ArtifactError: if something is missing, also for what is missing: the line names all of it, and the command that
            makes it.
    """
    missing = _missing(stages, selected, root)
    if not missing:
        return
    names = [stage.stage for stage in stages]
    begin, end = min(map(names.index, missing)), names.index(selected[-1].stage)
    # Whoever begins there makes also what lies between, which may read what is missing further before.
    while further := _missing(stages, stages[begin : end + 1], root):
        begin = min(map(names.index, further))
    to = f" to={names[end]}" if end + 1 < len(names) else ""
    listed = [name for name in names if name in missing]
    what = missing[listed[0]] if len(listed) == 1 else f"{selected[0].stage} needs {', '.join(listed)}"
    raise ArtifactError(
        f"{what}, which {'has' if len(listed) == 1 else 'have'} not been made with this configuration; "
        f"`fivephase run run={selected[0].run} from={names[begin]}{to}`, with the other overrides of the run, makes "
        f"{'it' if len(listed) == 1 else 'them'}"
    )


def _missing(stages: list[FrozenStage], selected: list[FrozenStage], root: str | Path) -> dict[str, str]:
    """What the selected stages read, or what is missing itself reads, that is neither among them nor finished: name of
    a stage to who reads it."""
    by_name = {stage.stage: stage for stage in stages}
    waiting, missing, inside = list(selected), dict[str, str](), {stage.stage for stage in selected}
    while waiting:
        reader = waiting.pop(0)
        if reader.folder is not None:
            continue
        for role, upstream in reader.inputs.items():
            name = upstream["stage"]
            if name in inside or name in missing:
                continue
            directory = by_name[name].directory(root)
            if by_name[name].folder is None and (directory / PUBLISHING).exists():
                with stage_lock(directory):
                    finish_publishing(directory)
            if not is_done(by_name[name], directory):
                missing[name] = f"{reader.stage} reads {name} ({role})"
                waiting.append(by_name[name])
    return missing


def next_attempt(directory: Path) -> int:
    """The number of a stage's next attempt, counted from 1; all ranks of the attempt must be given the same."""
    numbers = [int(path.name) for path in (directory / "attempts").glob("*") if path.name.isdigit()]
    return max(numbers, default=0) + 1


def attempts(directory: Path) -> Iterator[Path]:
    """The folders of a stage's attempts, with logs and progress, newest first."""
    folders = [path for path in (directory / "attempts").glob("*") if path.name.isdigit()]
    yield from sorted(folders, key=lambda path: -int(path.name))
