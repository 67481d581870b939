"""What counts as a user's error, behind whatever was raised in the end."""

import ast
import errno
import re
from collections.abc import Callable

import pytest

from pipeline.core.errors import AccessError, DataError, DiskFullError, as_user_error
from tests import ROOT

DENIED = PermissionError(errno.EACCES, "denied", "/data/cache")
FULL = OSError(errno.ENOSPC, "full", "/data/state")


def caused(cause: Exception) -> None:
    raise RuntimeError("could not save") from cause


def in_a_handler(cause: Exception) -> None:
    try:
        raise cause
    except Exception:
        raise KeyError("a fault")  # noqa: B904


@pytest.mark.parametrize(
    ("raised", "cause", "found"),
    [
        (caused, DENIED, AccessError),
        (caused, FULL, DiskFullError),
        (caused, DataError("no rows"), DataError),
        (in_a_handler, FULL, DiskFullError),
        # A cache that could not be read explains no fault in what is done instead.
        (in_a_handler, DENIED, type(None)),
    ],
)
def test_the_users_error_behind_an_exception(
    raised: Callable[[Exception], None], cause: Exception, found: type
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011
        raised(cause)
    assert type(as_user_error(error.value, "here")) is found


OF_A_RUN = {"ArtifactError", "BusyError", "CheckpointError", "DamagedFileError"}
"""Errors of what a run has. Others may ask to remove a row, a key or a step, which are the user's own."""


def test_no_error_tells_anyone_to_delete_what_a_run_has() -> None:
    """A folder without its manifest is a riddle; `fivephase remake` sets it aside. The one is a download."""
    found = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        for raised in ast.walk(ast.parse(path.read_text())):
            if not isinstance(raised, ast.Raise):
                continue
            words = "delete|erase|rm -r"
            if OF_A_RUN & {each.id for each in ast.walk(raised) if isinstance(each, ast.Name)}:
                words += "|remove"
            said = [str(each.value) for each in ast.walk(raised) if isinstance(each, ast.Constant)]
            if any(re.search(rf"\b({words})\b", each) for each in said):
                found.add(path.name)
    assert found == {"gguf_file.py"}
