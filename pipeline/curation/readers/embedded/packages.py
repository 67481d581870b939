"""Source files of installed packages, found without importing them, named independently of where they are."""

import hashlib
import importlib.metadata
import importlib.util
import platform
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

STANDARD_LIBRARY = "python"
SKIPPED_FOLDERS = {
    "__pycache__", "site-packages", "dist-packages", "lib-dynload", "test", "tests", "testing", "_vendor",
    "idlelib", "lib2to3", "tkinter", "turtledemo", "msilib", "ensurepip", "pydoc_data", "pip", "vendored",
}  # fmt: skip
"""Not there in every distribution of Python, third-party copies, or tests."""
SKIPPED_MODULES = {"conftest", "antigravity", "this", "turtle", "sitecustomize", "usercustomize"}
"""Not part of the installation, or doing something when imported."""


@lru_cache
def folder_of(package: str) -> Path | None:
    """The folder of a package, or None if it is not installed; of `python`, the standard library's."""
    if package == STANDARD_LIBRARY:
        return Path(sysconfig.get_path("stdlib"))
    if not package.isidentifier():
        return None
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


@lru_cache
def distributions() -> dict[str, list[str]]:
    """Top-level package to the distributions that install it."""
    return {name: sorted(found) for name, found in importlib.metadata.packages_distributions().items()}


def version_of(package: str) -> str:
    """The installed version of a package."""
    if package == STANDARD_LIBRARY:
        return platform.python_version()
    return ",".join(importlib.metadata.version(name) for name in distributions().get(package, []))


@lru_cache
def python_files(package: str) -> dict[str, Path]:
    """Relative name, e.g. `networkx/algorithms/dag.py`, to the file, in alphabetical order."""
    folder = folder_of(package)
    assert folder is not None, package
    found: dict[str, Path] = {}
    pending = [folder]
    while pending:
        for path in pending.pop().iterdir():
            if path.is_dir():
                if path.name not in SKIPPED_FOLDERS and not path.name.startswith(("config-", ".")):
                    pending.append(path)
            elif path.suffix == ".py" and path.stem not in SKIPPED_MODULES and not path.stem.startswith("_sysconfig"):
                found[f"{package}/{path.relative_to(folder).as_posix()}"] = path
    return dict(sorted(found.items()))


def shuffled(names: list[str], seed: int) -> list[str]:
    """The names in an order that depends on them and the seed alone."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())


@lru_cache
def chosen_files(packages: tuple[str, ...], limit: int | None, max_bytes: int | None, seed: int) -> dict[str, Path]:
    """Files of packages, in shuffled order, up to a number of files and of bytes."""
    files = {name: path for package in packages for name, path in python_files(package).items()}
    chosen: dict[str, Path] = {}
    size = 0
    for name in shuffled(list(files), seed):
        if limit is not None and len(chosen) >= limit:
            break
        length = files[name].stat().st_size
        if length == 0 or (max_bytes is not None and size + length > max_bytes):
            continue
        size += length
        chosen[name] = files[name]
    return chosen


def two_letters(names: Iterable[object]) -> list[str]:
    """The two-letter codes among Babel's names of countries or languages, in alphabetical order."""
    return sorted(code for code in map(str, names) if len(code) == 2 and code.isalpha())


def text_of(path: Path) -> str:
    """A source file's text; characters that are not UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")


def module_name(name: str) -> str:
    """`python/json/decoder.py` to `json.decoder`."""
    parts = name.removesuffix(".py").split("/")
    if parts[0] == STANDARD_LIBRARY:
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
