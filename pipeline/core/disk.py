"""A full disk, told from other errors of what writes large files."""

import errno
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.errors import DiskFullError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The system's errors where a disk is full, a quota used up, or a file larger than the process may write."""
OF_WRITERS = re.compile(
    rf"iostream error|inline_container|os error ({'|'.join(map(str, NO_ROOM))})\b|no space left", re.IGNORECASE
)
"""What torch says instead, whose RuntimeError has no number, and safetensors, whose error has it in its text."""


@contextmanager
def reporting_full_disk(target: Path, remove: Callable[[Path], None] | None = None) -> Iterator[None]:
    """Around writing a folder of large files: if there is no room, the user is told, and what was written is removed.

    Args:
        target: the folder that is written.
        remove: removes from it what is of no use, so that it does not take the room it needs; None removes all of it.

    Raises:
        DiskFullError: in place of the writer's error; it names the folder, the free space and what to do.
    """
    try:
        yield
    except Exception as error:
        if not is_full_disk(error):
            raise
        shutil.rmtree(target, ignore_errors=True) if remove is None else remove(target)
        there = next(folder for folder in (target, *target.parents) if folder.exists())
        free = shutil.disk_usage(there).free / 1e9
        raise DiskFullError(
            f"{target}: no room to write it, {free:.1f} GB are free here, a quota or limit may allow less; free some, "
            "for example folders of superseded/, or set root=<another file system>, then run again: it continues from "
            "the last checkpoint"
        ) from error


def is_full_disk(error: BaseException) -> bool:
    """Whether a writer's error, or one that caused it, says that there was no room."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in NO_ROOM:
            return True
        if OF_WRITERS.search(str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
