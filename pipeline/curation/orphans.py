"""No process outlives the one that started it: a killed stage must not write on while it is run again."""

import ctypes
import os
import signal
import sys
from functools import lru_cache

from multiprocess.process import parent_process

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: the signal this process gets when its parent dies."""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@lru_cache
def tie_processes(process: int) -> None:
    """Ties to this process, whose id is given, the children it forks from now on, and a worker to its parent.

    Only Linux can. Elsewhere a killed stage's workers end with their task.
    """
    assert process == os.getpid()
    if sys.platform != "linux":
        return
    if parent_process() is not None:
        _die_with_parent()
    os.register_at_fork(after_in_child=_die_with_parent)
