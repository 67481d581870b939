"""Files that appear whole or not at all, and their hashes."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xxhash

from pipeline.core.errors import DamagedFileError, DataError

CHUNK = 1 << 24
"""Bytes that are read at a time for a hash."""
HASHED_BYTES = 1 << 30
"""Largest size of files together at which they are read to identify them: a second or so."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes_of(path: Path) -> dict[str, str]:
    """SHA-256 and XXH3-128 of a file's bytes, in hexadecimal, by their names `sha256` and `xxh3`; read once."""
    digests = {"sha256": hashlib.sha256(), "xxh3": xxhash.xxh3_128()}
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            for digest in digests.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def xxh3_of(path: Path) -> str:
    """XXH3-128 of a file's bytes, in hexadecimal: against damage, not forgery, at many times the speed of SHA-256."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def identities(paths: Sequence[Path]) -> list[list[Any]]:
    """Of each local file its name, its size, and what changes when its content does, without reading terabytes.

    That is a hash, the same for every copy; of files of more than HASHED_BYTES together the time of their last change,
    so that a copy counts as another file.

    Raises:
        DataError: for one that is not there, as behind a link to nothing.
    """
    found = [_stat(path) for path in paths]
    if sum(each.st_size for each in found) > HASHED_BYTES:
        return [[path.name, each.st_size, each.st_mtime_ns] for path, each in zip(paths, found, strict=True)]
    return [[path.name, each.st_size, xxh3_of(path)] for path, each in zip(paths, found, strict=True)]


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        what = "a link to what is not there" if path.is_symlink() else str(error.strerror).lower()
        raise DataError(f"{path}: {what}, mend it or leave it out") from None


def sync(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON with sorted keys, creating folders. The file appears when all of it is on the disk.

    A kill may leave the temporary file beside it, whose name begins with a dot: `publish` takes no such file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w") as file:
            json.dump(value, file, indent=2, sort_keys=True, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # What fails in writing, as on a full disk, does not name the file, and what there is of it takes room.
        error.filename = error.filename or str(path)
        temporary.unlink(missing_ok=True)
        raise
    temporary.rename(path)
    sync(path.parent)


def read_json(path: Path) -> Any:
    """Reads a file as JSON.

    Raises:
        DamagedFileError: if it is none, which is a ValueError too.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DamagedFileError(f"{path}: empty, cut short or damaged, not JSON ({error})") from None


def files_below(directory: Path) -> list[Path]:
    """All regular files in a folder and the folders below it, sorted by path."""
    return sorted(path for path in directory.rglob("*") if path.is_file())
