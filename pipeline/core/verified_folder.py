"""A folder of large files that can be told from an incomplete or damaged one: a resumable checkpoint.

Its manifest holds the size and hash of every file and is written last, in one rename. So a process killed while it
writes leaves a folder without a manifest, and a bit that flipped on the disk shows as another hash. Hashes are XXH3 of
128 bits: they guard against damage, not against forgery, and a processor computes them many times faster than SHA-256,
which counts when hundreds of gigabytes are hashed while training waits. For the same reason ranks can share the
hashing: each takes every `world_size`-th file.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.files import files_below, read_json, sync, write_json, xxh3_of

MANIFEST = "manifest.json"


def describe_files(folder: Path, rank: int = 0, world_size: int = 1) -> dict[str, list[Any]]:
    """Size in bytes and hash of the files below a folder, by relative path, once each of them is on the disk.

    Args:
        folder: without a manifest yet.
        rank: of the ranks that share the work; this one's share is returned.
        world_size: number of these ranks.
    """
    described = {}
    for path in files_below(folder)[rank::world_size]:
        sync(path)
        described[str(path.relative_to(folder))] = [path.stat().st_size, xxh3_of(path)]
    return described


def write_manifest(folder: Path, files: dict[str, list[Any]], **facts: Any) -> None:
    """Writes a folder's manifest, atomically; to be called once, when all files are there.

    Args:
        folder: the folder.
        files: what `describe_files` returned, of all ranks together.
        facts: what else a reader of the manifest needs, as JSON; none may be called `files`.
    """
    write_json(folder / MANIFEST, {"files": files, **facts})


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder that has one: `files`, and what else was written with it."""
    return read_json(folder / MANIFEST)


def is_verified(folder: Path, rank: int = 0, world_size: int = 1, any_rank: Callable[[bool], bool] = bool) -> bool:
    """Whether a folder has a manifest and every file that it names, of the size and with the content that it says.

    Files that the manifest does not name are not looked at.

    Args:
        folder: the same on all ranks.
        rank: of the ranks that share the work.
        world_size: number of these ranks.
        any_rank: tells every rank whether one of them passed True; with more than one rank this function is a
            collective through it, and all get the same answer.
    """
    if not (folder / MANIFEST).is_file():
        return False
    files = list(read_manifest(folder)["files"].items())[rank::world_size]
    return not any_rank(any(_is_damaged(folder / name, *described) for name, described in files))


def step_numbers(directory: Path, prefix: str = "") -> list[int]:
    """The steps that a directory has a folder `<prefix><step>` of, newest first, whether they are complete or not."""
    names = [path.name.removeprefix(prefix) for path in directory.glob(f"{prefix}*")]
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def newest_verified_step(
    directory: Path,
    prefix: str = "",
    rank: int = 0,
    world_size: int = 1,
    any_rank: Callable[[bool], bool] = bool,
) -> Path | None:
    """The folder `<prefix><step>` of the highest step that is verified; None if none is.

    Args:
        directory: that holds the steps' folders. It may be missing.
        prefix: what their names begin with.
        rank: of the ranks that share the work.
        world_size: number of these ranks.
        any_rank: see `is_verified`; a collective if that is one.
    """
    folders = (directory / f"{prefix}{step}" for step in step_numbers(directory, prefix))
    return next((folder for folder in folders if is_verified(folder, rank, world_size, any_rank)), None)


def _is_damaged(path: Path, size: int, digest: str) -> bool:
    return not path.is_file() or path.stat().st_size != size or xxh3_of(path) != digest
