"""Files that appear whole or not at all, and their hashes."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON with sorted keys, creating folders. The file appears when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        json.dump(value, file, indent=2, sort_keys=True, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync(path.parent)


def read_json(path: Path) -> Any:
    """Reads a file as JSON; a ValueError if it is none."""
    return json.loads(path.read_text())


def files_below(directory: Path) -> list[Path]:
    """All regular files in a folder and the folders below it, sorted by path."""
    return sorted(path for path in directory.rglob("*") if path.is_file())
