"""Environments and verifiers from outside this package, named `module:NAME` wherever a name may stand.

The module is looked for in the working directory, then among the packages that can be imported. Workers run with `-P`,
without the working directory on Python's path, so that no file there stands in for a package: it is on the path while
such a module is imported, behind all else, and only then.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError, UserError
from pipeline.core.files import sha256_of

SEPARATOR = ":"
PACKAGES = {"reasoning_gym": "pipeline.environments.reasoning_gym_tasks"}
"""Packages that know nothing of environments, with the module here that makes one of each of their tasks: it has
`load`, by the task's name, and `sources`."""


def is_own(name: str) -> bool:
    """Whether a name is a reference `module:NAME`, not that of something built in."""
    return SEPARATOR in name


def load_own(reference: str) -> Any:
    """What a module of one's own has under a name; the module is imported, once in a process.

    Raises:
        ConfigError: if there is no such module or name, or the module cannot be imported.
    """
    return _load(reference, Path.cwd())


def own_sources(references: Iterable[str]) -> dict[str, dict[str, str]]:
    """SHA-256 of the sources behind each reference by module, for fingerprints; other names are left out.

    Of one of PACKAGES it is the module here, and the package's version. Else these are the module itself, and of what
    it imports, at any depth, the modules in the working directory and those of its own package.

    Raises:
        ConfigError: for what cannot be loaded.
    """
    return {each: _hashes(each, Path.cwd()) for each in sorted(set(references)) if is_own(each)}


@cache
def _load(reference: str, folder: Path) -> Any:
    name, _, attribute = reference.partition(SEPARATOR)
    if name in PACKAGES:
        try:
            return importlib.import_module(PACKAGES[name]).load(attribute)
        except UserError as error:
            raise ConfigError(str(error)) from None
    with _on_path(folder):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise ConfigError(f"{reference}: it imports {error.name}, which is not installed") from error
            raise ConfigError(
                f"{reference}: no module {name} in {folder} or among installed packages; run in the folder that has it"
            ) from None
        except Exception as error:
            message = " ".join(str(error).split())
            raise ConfigError(f"{reference}: it cannot be imported ({type(error).__name__}: {message})") from error
    own, found = _file_in(folder, name), _file_of(name)
    if own is not None and own != found:
        raise ConfigError(
            f"{reference}: {found} has the name of {own} and is imported in its place; rename your module"
        )
    if not attribute.isidentifier() or not hasattr(module, attribute):
        valid = [each for each in vars(module) if not each.startswith("_")]
        raise ConfigError(f"{reference}: {name} has no {attribute or 'empty name'}, {nearest(attribute, valid)}")
    return getattr(module, attribute)


@contextlib.contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _file_in(folder: Path, module: str) -> Path | None:
    """The source that a module of a folder would have, if it is there."""
    path = folder.joinpath(*module.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def _file_of(module: str) -> Path | None:
    """The source of an imported module."""
    path = getattr(sys.modules.get(module), "__file__", None)
    return Path(path) if path else None


@cache
def _hashes(reference: str, folder: Path) -> dict[str, str]:
    load_own(reference)
    name = reference.partition(SEPARATOR)[0]
    if name in PACKAGES:
        module = importlib.import_module(PACKAGES[name])
        return {module.__name__: sha256_of(Path(str(module.__file__))), **module.sources()}
    found: dict[str, str] = {}
    ahead = [name]
    while ahead:
        module = ahead.pop()
        path = _file_of(module)
        same_package = module.partition(".")[0] == name.partition(".")[0]
        if module in found or path is None or not (same_package or path == _file_in(folder, module)):
            continue
        found[module] = sha256_of(path)
        parts = module.split(".")
        ahead += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        ahead += _imports(path, parts if path.name == "__init__.py" else parts[:-1])
    return dict(sorted(found.items()))


def _imports(path: Path, package: list[str]) -> Iterator[str]:
    """Names that may be modules which a source imports: `from a import b` gives both `a` and `a.b`."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
