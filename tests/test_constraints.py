"""constraints.txt: one exact public version for all that pyproject.toml names, within its range.

That a registry has these versions no offline test can say: `make setup` in a fresh clone does.
"""

import tomllib

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
