"""Files appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.core.errors import DiskFullError, as_user_error
from pipeline.core.files import read_json, write_json


def test_a_full_disk_is_said_of_the_file_and_nothing_of_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})
    # Where all that is written is refused for want of room.
    (tmp_path / f".run.json.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"run\.json") as raised:
        write_json(path, {"a": 2})
    assert raised.value.errno == errno.ENOSPC
    error = as_user_error(raised.value, "elsewhere")
    assert isinstance(error, DiskFullError)
    assert str(error).startswith(f"{path}: no space left on the disk")
    assert list(tmp_path.iterdir()) == [path]
    assert read_json(path) == {"a": 1}
