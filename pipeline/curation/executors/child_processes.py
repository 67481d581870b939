"""No worker outlives the process that started it: a killed stage must not write on while it is run again.

A `kill -9` reaches one process only. Local tasks run three levels below it: the stage starts a fork server
(multiprocess's `forkserver`), the server forks the workers, and a worker may fork children of its own, as the HTML
extractors do. Two mechanisms cover these levels, and `kill_with_parent` sets both up in whichever process calls it:

- Children that this process forks ask Linux (`prctl`, PR_SET_PDEATHSIG) to be killed when their parent dies. That
  signal is set after the fork, so a parent that dies in between would be missed: the child compares its parent's id
  with the one noted before the fork, and ends at once if it has been handed to another process.
- A worker's parent is the fork server, which lives as long as any of its workers, so the signal would never come. But
  multiprocess gives each worker a pipe whose other end the owner of the pool holds open. A thread waits for that end to
  close, which it does however the owner ends, and kills the worker.
"""

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

_forking_parents: list[int] = []
"""Id of the process that is forking right now: its child inherits the list and knows its true parent by it."""


@lru_cache
def kill_with_parent(process_id: int) -> None:
    """Ties the children that this process forks from now on to it, and itself to its pool's owner if it is a worker.

    Does nothing when called again in the same process: the cache knows the id, which a forked child does not share.
    Only Linux can tie what is forked; on other systems a killed worker's own children live on.

    Args:
        process_id: of this very process, `os.getpid()`.
    """
    assert process_id == os.getpid()
    if (owner := parent_process()) is not None:
        threading.Thread(target=_die_when_closed, args=(owner.sentinel,), daemon=True).start()
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        os.register_at_fork(
            before=lambda: _forking_parents.append(os.getpid()),
            after_in_parent=_forking_parents.clear,
            after_in_child=lambda: _die_with_parent(prctl),
        )


def _die_when_closed(sentinel: int) -> None:
    """Waits until the owner of the pool is gone, and ends this process without another line of its task."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _die_with_parent(prctl: "ctypes._NamedFuncPointer") -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent died before it could be tied to: the system has given this process another one.
    if os.getppid() != _forking_parents[-1]:
        os.kill(os.getpid(), signal.SIGKILL)
