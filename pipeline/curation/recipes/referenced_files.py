"""What identifies the classifiers and tokenizers that a recipe names, without loading them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.artifact import read_manifest
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files import sha256_of

CONFIG = "config.json"
"""Of a classifier in a folder: holds the hash of the weights."""


def describe_files(paths: Iterable[str], where: str) -> list[dict[str, Any]]:
    """For a fingerprint: the name and SHA-256 of each; a folder is known by its configuration.

    Raises:
        DataError: for one that is not there.
    """
    described = []
    for path in map(Path, paths):
        file = path / CONFIG if path.is_dir() else path
        if not file.is_file():
            raise DataError(f"{where}: no file {file}, set path or tokenizer to where it is")
        described.append({"name": path.name, "sha256": sha256_of(file)})
    return described


def describe_runs(folders: Iterable[str], where: str) -> list[str]:
    """For a fingerprint: those of the runs.

    Raises:
        RecipeError: for a folder without a finished stage `curate`.
    """
    found = []
    for folder in folders:
        manifest = read_manifest(Path(folder))
        if manifest is None or manifest.kind != "curate":
            raise RecipeError(f"{where}: against={folder}: no finished stage curate there, set the folder of one")
        found.append(manifest.fingerprint)
    return found
