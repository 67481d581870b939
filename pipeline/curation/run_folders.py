"""What identifies the earlier runs that a recipe names, without reading their documents."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.artifact import read_manifest
from pipeline.errors import RecipeError


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
