"""Where this package lies, and what comes with it: the configurations in `conf/`, the recipes in `data_recipes/`.

In a checkout both are folders beside `pipeline/`; a wheel carries them inside the package.
"""

import hashlib
import os
import shlex
import shutil
from functools import cache
from pathlib import Path

import pipeline

PACKAGE = Path(pipeline.__file__).resolve().parent
CHECKOUT = None if (PACKAGE / "conf").is_dir() else PACKAGE.parent
"""The checkout that this package is imported from; None for one that a wheel installed."""
BUILT_IN = CHECKOUT or PACKAGE
"""Folder of what comes with the package."""
CONF = BUILT_IN / "conf"
RECIPES = "data_recipes"


@cache
def code_hash() -> str:
    """SHA-256 of the names and contents of this package's Python files, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE)} {len(source)}\n".encode() + source)
    return digest.hexdigest()


def command_name(folder: Path | None = None) -> str:
    """What a user types for this program: its name where the shell finds it, else the script of the checkout.

    It is typed in the working directory, or in the folder that is named.
    """
    script = CHECKOUT / "fivephase" if CHECKOUT else None
    if shutil.which("fivephase") or script is None or not script.is_file():
        return "fivephase"
    return "./fivephase" if (folder or Path.cwd()).resolve() == CHECKOUT else shlex.quote(str(script))


def locate(path: Path) -> Path:
    """A path that a configuration names: below the working directory if it is there, else among the built-in ones.

    `data_recipes/smoke` names a built-in folder wherever the command is run, unless the working directory has one of
    its own by this name. What exists in neither place comes back unchanged; `places` says where it was looked for.
    """
    return next((place for place in _candidates(path) if place.exists()), path)


def places(path: Path) -> str:
    """Where `locate` looks for a path, to be said in an error."""
    return " and ".join(str(place.absolute()) for place in _candidates(path))


def _candidates(path: Path) -> list[Path]:
    built_in = not path.is_absolute() and path.parts[:1] == (RECIPES,) and Path.cwd() != BUILT_IN
    return [path, BUILT_IN / path] if built_in else [path]


def python_path() -> str:
    """PYTHONPATH for processes of this interpreter that are to import this very package, whatever their directory.

    A checkout need not be installed, so it comes first; an installed package is found without it. Empty is as good
    as not set.
    """
    parts = [str(CHECKOUT) if CHECKOUT else "", os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(part for part in parts if part)
