"""Identifies what a recipe refers to by path (classifiers, tokenizers, earlier runs), without loading it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.artifact import read_manifest
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files import sha256_of

CONFIG = "config.json"
"""The file that stands for a classifier in a folder: it holds the hash of the weights."""


def describe_files(paths: Iterable[str], where: str) -> list[dict[str, Any]]:
    """The name and SHA-256 of each file, or of a folder's configuration, for the fingerprint of the stage.

    Args:
        paths: classifiers and tokenizers as recipes name them.
        where: the recipe, for the error.

    Raises:
        DataError: for a file that is not there.
    """
    described = []
    for path in map(Path, paths):
        file = path / CONFIG if path.is_dir() else path
        if not file.is_file():
            raise DataError(f"{where}: no file {file}, set path or tokenizer to where it is")
        described.append({"name": path.name, "sha256": sha256_of(file)})
    return described


def describe_runs(folders: Iterable[str], where: str) -> list[str]:
    """The fingerprints of earlier `curate` stages, for the fingerprint of the stage.

    Args:
        folders: output folders of those stages, as a step names them in `against`.
        where: the recipe, for the error.

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
