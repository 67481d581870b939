"""Guards against blow-up: time that grows faster than a text's length, and calls that wait.

No test asserts a speed, which depends on the machine and on what else it does. These limits claim none: they lie far
above what a call takes, and tell linear from quadratic time, and work from waiting. What is measured is the CPU time of
this process, which a busy machine leaves nearly as it is; a call that sleeps uses none, so the time that passes has a
limit as well, less what Linux says that this thread stood in the queue for a processor. Only a call that is beyond a
limit each of three times fails a test.
"""

import contextlib
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

TRIES = 3
GROWTH = 4
"""A text is measured against its first quarter, that against its first quarter, and so on."""
WORST_RATIO = 10.0
"""Most that four times the text may cost: linear time gives 4 (up to 5 was seen), quadratic 16."""
NOTHING_SECONDS = 0.1
"""CPU time below which a ratio says nothing."""
BUSY = 20.0
"""A call may take this many times its CPU time: so many others may want the same processor, where nothing says how long
it waited for one, or a child of this process does the work."""
SCHEDULED = Path("/proc/thread-self/schedstat")
"""Nanoseconds that this thread ran, and that it was ready to run and another did."""


@dataclass(frozen=True)
class Taken:
    """Seconds that a call took."""

    cpu: float
    wall: float
    """Of those that passed, without those in which it could have gone on and had no processor."""


def assert_bounded_time(call: Callable[[], object], cpu_seconds: float = 1.0, wall_seconds: float = 2.0) -> None:
    """Fails if a call takes more CPU time, or more time beside it, than it ever should.

    Args:
        call: what is measured, up to three times.
        cpu_seconds: some twenty times what it takes, and no less than a second.
        wall_seconds: how long it may wait, not counting its CPU time and that of others on a busy machine.
    """
    _measured(call, partial(_beyond, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds))


def assert_linear_time(
    call: Callable[[str], object], text: str, cpu_seconds: float = 2.0, wall_seconds: float = 2.0
) -> None:
    """Fails if a call's CPU time grows faster than the text it is given, or is beyond a limit.

    The text is given in growing parts, so that quadratic time is found on a short one, and nobody waits for the whole.

    Args:
        call: what is measured, with a 64th, a 16th, a quarter and all of the text.
        text: some 10^6 characters of which every part is as hostile as the whole.
        cpu_seconds: as for `assert_bounded_time`, for each part.
        wall_seconds: likewise.
    """
    before: Taken | None = None
    for part in (text[: len(text) // GROWTH**power] for power in (3, 2, 1, 0)):

        def fault(taken: Taken, before: Taken | None = before, part: str = part) -> str | None:
            if before is not None and taken.cpu > max(NOTHING_SECONDS, WORST_RATIO * before.cpu):
                return (
                    f"{len(part):,} characters took {taken.cpu:.3f} s of CPU time, a quarter of them "
                    f"{before.cpu:.3f} s: the time grows faster than the text"
                )
            return _beyond(taken, cpu_seconds, wall_seconds)

        before = _measured(partial(call, part), fault)


def _beyond(taken: Taken, cpu_seconds: float, wall_seconds: float) -> str | None:
    if taken.cpu > cpu_seconds:
        return f"took {taken.cpu:.2f} s of CPU time, {cpu_seconds:.2f} s are far more than it needs"
    if taken.wall > wall_seconds + BUSY * taken.cpu:
        return f"took {taken.wall:.2f} s for {taken.cpu:.2f} s of CPU time: it waits"
    return None


def _measured(call: Callable[[], object], fault: Callable[[Taken], str | None]) -> Taken:
    """The first of three tries without fault.

    Raises:
        AssertionError: if there is none, with the fault of the last.
    """
    found = None
    for _ in range(TRIES):
        taken = _time(call)
        if (found := fault(taken)) is None:
            return taken
    raise AssertionError(found)


def _time(call: Callable[[], object]) -> Taken:
    # The collector looks at all objects now and then, which makes one of two equal calls several times slower.
    collects = gc.isenabled()
    gc.disable()
    try:
        cpu, wall, queued = time.process_time(), time.perf_counter(), _queued_seconds()
        call()
        queued = _queued_seconds() - queued
        return Taken(time.process_time() - cpu, time.perf_counter() - wall - queued)
    finally:
        if collects:
            gc.enable()


def _queued_seconds() -> float:
    """How long this thread has stood in the queue for a processor since it began; 0 where the kernel does not say."""
    with contextlib.suppress(OSError):
        return int(SCHEDULED.read_text().split()[1]) / 1e9
    return 0.0
