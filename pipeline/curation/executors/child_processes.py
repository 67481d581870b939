"""No process outlives the one that started it: a killed stage must not write on while it is run again."""

import ctypes
import os
import signal
import sys
import threading
from functools import lru_cache

from multiprocess.connection import wait
from multiprocess.process import parent_process

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: the signal this process gets when its parent dies."""

_forking: list[int] = []


@lru_cache
def tie_processes(process: int) -> None:
    """Ties to this process, whose id is given, the children it forks from now on, and a pool's worker to its pool.

    Only Linux can tie what is forked.
    """
    assert process == os.getpid()
    if (pool := parent_process()) is not None:
        # The parent that the system knows is a server of forks, which lives as long as any of its workers.
        threading.Thread(target=_end_with, args=(pool.sentinel,), daemon=True).start()
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        os.register_at_fork(
            before=lambda: _forking.append(os.getpid()),
            after_in_parent=_forking.clear,
            after_in_child=lambda: _die_with_parent(prctl),
        )


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _die_with_parent(prctl: "ctypes._NamedFuncPointer") -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died before it could be tied to has left this process to another.
    if os.getppid() != _forking[-1]:
        os.kill(os.getpid(), signal.SIGKILL)
