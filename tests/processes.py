"""Which processes of a test are still there, and their end."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


def survivors(variable: str, seconds: float = 30.0) -> list[str]:
    """Ids of processes that have a variable, `name=value`, in their environment and do not end within that time."""
    deadline = time.monotonic() + seconds
    while (found := running(variable)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def running(variable: str) -> list[str]:
    """Ids of the processes that have a variable, `name=value`, in their environment now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # A process can end, or belong to someone else, between the listing and the reading.
        with contextlib.suppress(OSError):
            if variable.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def runs(process: int) -> bool:
    """Whether a process is there and no zombie. It may end between the opening of its file and the reading."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def end_children() -> None:
    """Kills all processes that this one has started, and those that they have started; on Linux only."""
    for process in list(descendants(os.getpid())):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def descendants(process: int) -> Iterator[int]:
    """Ids of the processes that a process has started, and that they have started; on Linux only."""
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                yield child
                yield from descendants(child)
