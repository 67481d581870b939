"""The signals that ask a stage to save and end, kept from the processes that it starts.

A batch system may send them to every process of a job step. The stage's own process knows what to do; a child that died
of one would look as if its work had failed.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What the launcher and a batch system before its time limit send to have a stage save and end."""


@contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Processes that this thread starts meanwhile never get the stop signals: only SIGKILL ends them.

    They inherit the mask of the thread that starts them, and so do their own children. A signal that reaches this
    thread meanwhile is delivered afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
