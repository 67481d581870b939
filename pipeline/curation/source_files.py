"""What a source consists of, without reading it: is it there, and which files are it."""

import platform
from pathlib import Path
from typing import Any

from pipeline.config import nearest
from pipeline.curation.embedded.packages import STANDARD_LIBRARY, folder_of, version_of
from pipeline.curation.recipe_sources import (
    EmbeddedSource,
    FileSource,
    JsonlSource,
    ParquetSource,
    Source,
    WarcSource,
)
from pipeline.errors import RecipeError

CORPUS_VERSION = 1
"""Raised when the generators of the embedded corpus change what they write."""


def files_of(source: FileSource) -> list[Path]:
    """The files of a source on disk, in order."""
    path = Path(source.path)
    return [path] if path.is_file() else sorted(each for each in path.rglob(source.pattern) if each.is_file())


def check_source(source: Source, where: str) -> None:
    """Refuses a source that is not there.

    Raises:
        RecipeError: for a missing file, an empty folder, or a package that is not installed.
    """
    if isinstance(source, WarcSource | JsonlSource | ParquetSource):
        path = Path(source.path)
        if not path.exists():
            raise RecipeError(f"{where}.path={source.path}: no such file or folder, set path to where the data is")
        if not files_of(source):
            raise RecipeError(f"{where}.path={source.path}: no file matches pattern={source.pattern}, set pattern")
    if isinstance(source, EmbeddedSource):
        for package in source.packages:
            if folder_of(package) is None:
                raise RecipeError(f"{where}.packages: {package} is not installed, install it or remove it here")
        if source.generator == "locales":
            from pipeline.curation.embedded.locales import LANGUAGES

            for language in source.languages:
                if language not in LANGUAGES:
                    raise RecipeError(f"{where}.languages: {language} unknown, {nearest(language, LANGUAGES)}")


def describe(source: Source) -> dict[str, Any]:
    """What identifies a source's data beyond its recipe: files and sizes, or versions of packages."""
    match source:
        case WarcSource() | JsonlSource() | ParquetSource():
            return {"files": [[path.name, path.stat().st_size] for path in files_of(source)]}
        case EmbeddedSource():
            versions = {package: version_of(package) for package in source.packages}
            return {
                "corpus": CORPUS_VERSION,
                "versions": {**versions, STANDARD_LIBRARY: platform.python_version()},
            }
        case _:
            return {}
