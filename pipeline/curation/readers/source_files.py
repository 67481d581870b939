"""Checks and describes sources without reading them: which files they consist of, and whether those exist."""

import platform
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.core.config import nearest
from pipeline.core.errors import RecipeError
from pipeline.core.files import identities
from pipeline.curation.readers.embedded.packages import STANDARD_LIBRARY, package_folder, version_of
from pipeline.curation.readers.sources import EmbeddedSource, FileSource, Source, TextSource

CORPUS_VERSION = 1
"""Version of the embedded corpus, a part of the fingerprint: raise it when a generator gives other texts."""


def files_of(source: FileSource) -> list[str]:
    """Lists the files of a source in alphabetical order: paths on a local disk, URLs elsewhere."""
    system, root = url_to_fs(source.place)
    local = isinstance(system, LocalFileSystem)
    if not system.isdir(root):
        found = [root] if system.exists(root) else []
    else:
        found = [each for each in system.find(root) if _is_wanted(each[len(root) :].strip("/"), source)]
    return sorted(each if local else system.unstrip_protocol(each) for each in found)


def _is_wanted(path: str, source: FileSource) -> bool:
    """Whether a path below a source's folder is one of its files."""
    *folders, name = path.split("/")
    # Such as .git, which has copies of what lies beside it.
    if isinstance(source, TextSource) and any(each.startswith(".") for each in (*folders, name)):
        return False
    return any(fnmatch(name, pattern) for pattern in source.patterns)


def display_path(source: FileSource, path: str) -> str:
    """One of a source's files as the recipe would name it: the same in every working directory and on every machine."""
    _, root = url_to_fs(source.place)
    below = path.partition(root)[2].strip("/")
    return f"{source.path.rstrip('/')}/{below}" if below else source.path


def check_source(source: Source, where: str) -> None:
    """Checks that what a source names exists.

    Args:
        source: the source.
        where: the recipe and the place in it, for the error.

    Raises:
        RecipeError: for a missing file, a folder without a matching file, a file system that cannot be reached, a
            package that is not installed, or an unknown language.
    """
    if isinstance(source, FileSource):
        try:
            system, root = url_to_fs(source.place)
            there, found = system.exists(root), files_of(source)
        except (ImportError, ValueError, OSError) as error:
            # A protocol that fsspec does not know, or whose library is not installed.
            raise RecipeError(f"{where}.path={source.path}: {error}") from None
        if not there:
            looked = f" (looked for {' and '.join(source.places)})" if len(source.places) > 1 else ""
            raise RecipeError(
                f"{where}.path={source.path}: no such file or folder{looked}, set path to where the data is"
            )
        if not found:
            raise RecipeError(
                f"{where}.path={source.path}: no file in {source.place} matches "
                f"pattern={', '.join(source.patterns)}, set pattern"
            )
    if isinstance(source, EmbeddedSource):
        for package in source.packages:
            if package_folder(package) is None:
                raise RecipeError(f"{where}.packages: {package} is not installed, install it or remove it here")
        if source.generator == "locales":
            from pipeline.curation.readers.embedded.locales import LANGUAGES

            for language in source.languages:
                if language not in LANGUAGES:
                    raise RecipeError(f"{where}.languages: {language} unknown, {nearest(language, LANGUAGES)}")


def describe(source: Source) -> dict[str, Any]:
    """Identifies a source's data for the stage's fingerprint: what identifies its files, or versions of packages."""
    match source:
        case FileSource():
            system, _ = url_to_fs(source.place)
            return {"files": _identities(system, files_of(source))}
        case EmbeddedSource():
            versions = {package: version_of(package) for package in source.packages}
            return {
                "corpus": CORPUS_VERSION,
                "versions": {**versions, STANDARD_LIBRARY: platform.python_version()},
            }
        case _:
            return {}


def _identities(system: AbstractFileSystem, paths: list[str]) -> list[list[Any]]:
    """Of each file its name, size, and what changes when its content does: `identities` of local files, elsewhere what
    the file system has for the purpose, such as an ETag."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise RecipeError(f"{path!a}: the file's name is not UTF-8, rename it") from None
    if isinstance(system, LocalFileSystem):
        return identities([Path(path) for path in paths])
    return [[path.rpartition("/")[2], system.size(path), system.ukey(path)] for path in paths]
