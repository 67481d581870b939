"""Finds the source files of installed packages without importing them, under names that no machine changes."""

import hashlib
import importlib.metadata
import importlib.util
import platform
import sysconfig
from functools import lru_cache
from pathlib import Path

STANDARD_LIBRARY = "python"
"""The name that stands for the standard library among packages."""
SKIPPED_FOLDERS = {
    "__pycache__", "site-packages", "dist-packages", "lib-dynload", "test", "tests", "testing", "_vendor",
    "idlelib", "lib2to3", "tkinter", "turtledemo", "msilib", "ensurepip", "pydoc_data", "pip", "vendored",
}  # fmt: skip
"""Folders that some distributions of Python lack, copies of other packages, and tests."""
SKIPPED_MODULES = {"conftest", "antigravity", "this", "turtle", "sitecustomize", "usercustomize"}
"""Modules that are no part of an installation, or that act when they are imported."""


@lru_cache
def package_folder(package: str) -> Path | None:
    """The folder of an installed package (of the standard library for `python`), or None if it is not installed."""
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
    """The names of the distributions that install each top-level package."""
    return {name: sorted(found) for name, found in importlib.metadata.packages_distributions().items()}


def version_of(package: str) -> str:
    """The installed version of a package, "" if no distribution installs it; several, joined by commas, if several
    distributions install it. Python's own for the standard library.
    """
    if package == STANDARD_LIBRARY:
        return platform.python_version()
    return ",".join(importlib.metadata.version(name) for name in distributions().get(package, []))


@lru_cache
def python_files(package: str) -> dict[str, Path]:
    """All Python files of a package by relative name, such as `networkx/algorithms/dag.py`, in alphabetical order."""
    folder = package_folder(package)
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
    """The names in a pseudorandom order, that of the SHA-256 of seed and name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())


@lru_cache
def chosen_files(packages: tuple[str, ...], limit: int | None, max_bytes: int | None, seed: int) -> dict[str, Path]:
    """Chooses files of packages in shuffled order.

    Args:
        packages: names of installed packages.
        limit: most files; None sets no limit.
        max_bytes: most bytes in all files together; a file that would exceed it is passed over.
        seed: decides the order.
    """
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


def read_source(path: Path) -> str:
    """The text of a source file, with U+FFFD for bytes that are not UTF-8."""
    return path.read_text(encoding="utf-8", errors="replace")


def module_name(name: str) -> str:
    """The module that a file name of `python_files` stands for: `python/json/decoder.py` gives `json.decoder`."""
    parts = name.removesuffix(".py").split("/")
    if parts[0] == STANDARD_LIBRARY:
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
