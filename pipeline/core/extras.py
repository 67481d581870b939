"""Packages that only some work needs: extras of this one, named in one line where they are missing."""

import importlib.util
import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires

from pipeline.core.errors import UserError


def require(extra: str, *modules: str) -> None:
    """Checks that the packages of an extra are installed, without importing them.

    Args:
        extra: its name in pyproject.toml.
        modules: what is imported from it.

    Raises:
        UserError: if one is missing, with the command that installs the extra.
    """
    missing = [each for each in modules if not is_installed(each)]
    if missing:
        raise UserError(f"{', '.join(missing)}: not installed; run `{install_command(extra)}`")


def is_installed(module: str) -> bool:
    """Whether a module of this name can be imported."""
    return importlib.util.find_spec(module) is not None


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra, as a message prints it: the registry has none of our name."""
    try:
        listed = requires("fivephase") or []
    except PackageNotFoundError:
        listed = []
    of_extra = [each.partition(";")[0].strip() for each in listed if re.search(rf"extra == .{extra}\b", each)]
    python = shlex.quote(sys.executable)
    return f"{python} -m pip install {shlex.join(of_extra or ['-e', f'.[{extra}]'])}"
