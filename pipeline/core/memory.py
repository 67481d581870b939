"""The most memory that a process and its children held together: what a limit of memory is compared with."""

import contextlib
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

SECONDS = 1.0
"""From one look at the processes to the next."""
WORST_COST = 0.01
"""Most share of a processor that looking may take: with many processes it is done more rarely."""


class PeakMemory:
    """Watches this process and its children, and theirs, from a thread.

    Linux tells of each child how much memory it has to itself, and its share of what it has in common with others
    (PSS): modules that workers have from the process that forked them count once. Without /proc, and for children that
    ended between two looks, the largest single process is what is known.
    """

    def __init__(self) -> None:
        """Begins to look."""
        self._seen = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def peak_bytes(self) -> int:
        """The most bytes that were held until now."""
        usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return max(self._seen, *(each * (1 if sys.platform == "darwin" else 1024) for each in usage))

    def _watch(self) -> None:
        while True:
            began = time.thread_time()
            self._seen = max(self._seen, tree_bytes())
            time.sleep(max(SECONDS, (time.thread_time() - began) / WORST_COST))


def tree_bytes() -> int:
    """The resident memory of this process and of all its descendants now; 0 on a system without /proc."""
    try:
        own = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
    return own + sum(map(_shared_bytes, _descendants(os.getpid())))


def _shared_bytes(process: int) -> int:
    # It may have ended, or belong to someone else.
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _descendants(process: int) -> Iterator[int]:
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                yield child
                yield from _descendants(child)
