"""What a source consists of, without reading it: is it there, and which files are it."""

import platform
from fnmatch import fnmatch
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.core.config import nearest
from pipeline.core.errors import RecipeError
from pipeline.curation.readers.embedded.packages import STANDARD_LIBRARY, folder_of, version_of
from pipeline.curation.readers.sources import EmbeddedSource, FileSource, Source

CORPUS_VERSION = 1
"""Raised when the generators of the embedded corpus change what they write."""


def files_of(source: FileSource) -> list[str]:
    """The files of a source in order, as paths, or as URLs where fsspec reaches them."""
    system, root = url_to_fs(source.path)
    local = isinstance(system, LocalFileSystem)
    if not system.isdir(root):
        found = [root] if system.exists(root) else []
    else:
        found = [each for each in system.find(root) if fnmatch(each.rpartition("/")[2], source.pattern)]
    return sorted(each if local else system.unstrip_protocol(each) for each in found)


def shown(source: FileSource, name: str) -> str:
    """One of a source's files as the recipe would name it, wherever the working directory is."""
    _, root = url_to_fs(source.path)
    below = name.partition(root)[2].strip("/")
    return f"{source.path.rstrip('/')}/{below}" if below else source.path


def check_source(source: Source, where: str) -> None:
    """Refuses a source that is not there.

    Raises:
        RecipeError: for a missing file, an empty folder, or a package that is not installed.
    """
    if isinstance(source, FileSource):
        try:
            system, root = url_to_fs(source.path)
            there, found = system.exists(root), files_of(source)
        except (ImportError, ValueError, OSError) as error:
            # A protocol that fsspec does not know, or whose library is not installed.
            raise RecipeError(f"{where}.path={source.path}: {error}") from None
        if not there:
            raise RecipeError(f"{where}.path={source.path}: no such file or folder, set path to where the data is")
        if not found:
            raise RecipeError(f"{where}.path={source.path}: no file matches pattern={source.pattern}, set pattern")
    if isinstance(source, EmbeddedSource):
        for package in source.packages:
            if folder_of(package) is None:
                raise RecipeError(f"{where}.packages: {package} is not installed, install it or remove it here")
        if source.generator == "locales":
            from pipeline.curation.readers.embedded.locales import LANGUAGES

            for language in source.languages:
                if language not in LANGUAGES:
                    raise RecipeError(f"{where}.languages: {language} unknown, {nearest(language, LANGUAGES)}")


def describe(source: Source) -> dict[str, Any]:
    """What identifies a source's data beyond its recipe: files and sizes, or versions of packages."""
    match source:
        case FileSource():
            system, _ = url_to_fs(source.path)
            return {"files": [[path.rpartition("/")[2], system.size(path)] for path in files_of(source)]}
        case EmbeddedSource():
            versions = {package: version_of(package) for package in source.packages}
            return {
                "corpus": CORPUS_VERSION,
                "versions": {**versions, STANDARD_LIBRARY: platform.python_version()},
            }
        case _:
            return {}
