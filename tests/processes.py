"""Which processes of a test are still there."""

import contextlib
import time
from pathlib import Path


def survivors(variable: str, seconds: float = 30.0) -> list[str]:
    """Ids of processes that have a variable, `name=value`, in their environment and do not end within that time."""
    deadline = time.monotonic() + seconds
    while (found := _having(variable.encode())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _having(variable: bytes) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # A process can end, or belong to someone else, between the listing and the reading.
        with contextlib.suppress(OSError):
            if variable in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found
