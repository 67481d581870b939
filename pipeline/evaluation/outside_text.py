"""Text from outside a run: files of one's own, or the documentation in packages that are installed anyway."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError
from pipeline.core.files import identities
from pipeline.curation.readers import source_files
from pipeline.curation.readers.embedded.docstrings import MINIMUM_CHARACTERS, docstrings_of
from pipeline.curation.readers.embedded.packages import module_name, package_folder, python_files
from pipeline.evaluation.config import OutsideTextConfig

SUFFIXES = (".txt", ".md", ".rst")
"""Files of a folder that are read."""


def check_texts(texts: Mapping[str, OutsideTextConfig]) -> None:
    """Makes sure that texts are there, without reading them.

    Raises:
        DataError: naming the one that is not, with the remedy.
    """
    for name, text in texts.items():
        if text.path is not None:
            _files(name, text.path)
        for package in text.packages:
            if package_folder(package) is None:
                raise DataError(
                    f"text.outside.{name}.packages: {package} is not installed; install it, or name another"
                )


def describe_texts(texts: Mapping[str, OutsideTextConfig]) -> dict[str, Any]:
    """What identifies the texts, for a fingerprint: names and hashes of files, names and versions of packages.

    Raises:
        DataError: for a text that is not there.
    """
    check_texts(texts)
    return {
        name: identities(_files(name, text.path))
        if text.path is not None
        else [[package, source_files.version_of(package)] for package in text.packages]
        for name, text in texts.items()
    }


def read_text(name: str, text: OutsideTextConfig, maximum_bytes: int) -> list[str]:
    """The documents of a text: files in the order of their names, or what the modules of packages document.

    Args:
        name: of the text, for messages.
        text: where it is.
        maximum_bytes: UTF-8 bytes of all documents together, at most; the last one is cut at a line's end. Packages
            have equal parts of them.

    Raises:
        DataError: for a text that is not there, is not UTF-8 or is empty.
    """
    if text.path is not None:
        documents = cut([_read(path) for path in _files(name, text.path)], maximum_bytes)
    else:
        share = maximum_bytes // len(text.packages)
        documents = [each for package in text.packages for each in cut(_documentation(package), share)]
    if not documents:
        raise DataError(f"text.outside.{name}: holds no text; name files or packages with some")
    return documents


def cut(documents: list[str], maximum_bytes: int) -> list[str]:
    """The first documents, as many as have so many bytes together; the last one is cut behind a line if it can be."""
    kept: list[str] = []
    left = maximum_bytes
    for document in documents:
        encoded = document.encode()
        if len(encoded) > left:
            part = encoded[:left].decode(errors="ignore")
            document = part[: part.rfind("\n") + 1] or part
            encoded = document.encode()
            left = len(encoded)
        if document.strip():
            kept.append(document)
        left -= len(encoded)
        if left <= 0:
            break
    return kept


def _documentation(package: str) -> list[str]:
    """What each module of a package documents, one document a module."""
    documents = []
    for name, path in python_files(package).items():
        found = docstrings_of(path, module_name(name))
        longer = [f"{title}\n\n{text}\n" for title, text in found if len(text) >= MINIMUM_CHARACTERS]
        if longer:
            documents.append("\n\n".join(longer))
    return documents


def _files(name: str, path: str) -> list[Path]:
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(
            f"text.outside.{name}.path={path}: no such file or folder; name a text file or a folder of them"
        )
    found = sorted(each for suffix in SUFFIXES for each in place.rglob(f"*{suffix}") if each.is_file())
    if not found:
        raise DataError(f"text.outside.{name}.path={path}: no {', '.join(SUFFIXES)} files in it; name another folder")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; convert it, or name another") from None
