"""Calls of this package's functions in child processes that can be killed, several at a time.

What a verifier does with a text may have no end (`9**9**9**9` keeps a computer algebra system busy forever), and
nothing inside a process stops it there. A child has limits of CPU time and memory; when it dies of one, the next call
starts another. Children are fresh interpreters, never forks, so that threads and libraries of a trainer do not matter
to them, and they end with the process that started them.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import logging
import os
import resource
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import Any, Final

from pipeline.core.installation import python_path
from pipeline.core.stop_signals import stop_signals_blocked

CPU_SECONDS = 1.0
"""CPU time of one call of what comes with this package. A limit by the clock would make verdicts depend on what else
the machine does."""
MEMORY_BYTES = 1 << 30
"""Memory of one call, beside what its libraries take."""
DEADLINE_SECONDS = 300.0
"""Time by the clock, for a call that waits or whose machine is very busy."""
START_SECONDS = 600.0
"""Importing takes seconds, far longer on a busy machine; only the first call waits."""
MAX_CHILDREN = 16

OUT_OF_TIME: Final = "the verifier ran out of time or memory"
"""Why a child was killed."""

in_child = False
"""Whether this process is such a child, where a call that needs limits has them already."""


class CallError(Exception):
    """A call in a child gave nothing: it was killed, or it raised."""


class _Child:
    """A process that answers one call at a time; it starts with the first."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def call(self, function: str, arguments: Sequence[Any]) -> Any:
        try:
            return self._call(function, arguments)
        except CallError:
            raise
        except BaseException:
            # Whoever is interrupted here leaves an answer unread.
            self.stop()
            raise

    def _call(self, function: str, arguments: Sequence[Any]) -> Any:
        if self.process is None:
            self.process = _start()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps([function, *arguments]) + "\n")
            line = _read_line(self.process, DEADLINE_SECONDS)
        except BrokenPipeError:
            line = ""
        if not line:
            self.stop()
            raise CallError(OUT_OF_TIME)
        result, error = json.loads(line)
        if error is not None:
            raise CallError(error)
        return result

    def stop(self) -> None:
        if self.process is not None:
            # With what a verifier of one's own has started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            self.process = None


class Workers:
    """Child processes that share calls; any thread may use them."""

    def __init__(self, count: int) -> None:
        self.children = [_Child() for _ in range(count)]
        self._free: LifoQueue[_Child] = LifoQueue()
        for child in reversed(self.children):
            self._free.put(child)

    def call(self, function: str, *arguments: Any) -> Any:
        """What `module:function` of this package gives in a child; arguments and result are JSON.

        Raises:
            CallError: if it takes more than its limits or raises.
            RuntimeError: if the child does not start.
        """
        child = self._free.get()
        try:
            return child.call(function, arguments)
        finally:
            self._free.put(child)

    def call_each(self, function: str, arguments: Sequence[Sequence[Any]]) -> list[Any]:
        """The result of each of several calls, in order, or the CallError that it raised.

        Raises:
            RuntimeError: if a child does not start.
        """
        results: list[Any] = [None] * len(arguments)
        ahead = deque(range(len(arguments)))

        def work() -> None:
            while ahead:
                try:
                    place = ahead.popleft()
                except IndexError:
                    return
                try:
                    results[place] = self.call(function, *arguments[place])
                except CallError as error:
                    results[place] = error

        with ThreadPoolExecutor(len(self.children)) as threads:
            for done in [threads.submit(work) for _ in range(min(len(self.children), len(arguments)))]:
                done.result()
        return results

    def processes(self) -> list[int]:
        """The ids of the processes that have started."""
        return [each.process.pid for each in self.children if each.process]

    def stop(self) -> None:
        """Ends the children; a later call starts them again."""
        for child in self.children:
            child.stop()


_workers: Workers | None = None


def workers() -> Workers:
    """This process's children: as many as there are processors for it, beside the node's other ranks."""
    global _workers
    if _workers is None:
        share = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        _workers = Workers(max(1, min(MAX_CHILDREN, share)))
    return _workers


def _forget() -> None:
    """In a fork: the children are its parent's."""
    global _workers
    _workers = None


@atexit.register
def stop_workers() -> None:
    """Ends this process's children; a later call starts others."""
    if _workers is not None:
        _workers.stop()


os.register_at_fork(after_in_child=_forget)


def _read_line(process: subprocess.Popen[str], seconds: float) -> str:
    """The process's next line, or "" if none comes within the time."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(seconds) else ""


def _start() -> subprocess.Popen[str]:
    # A signal to all processes of the stage must not look like a call that took too long.
    with stop_signals_blocked():
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from pipeline.environments.workers import main; main()"],
            env={**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
    if not _read_line(process, START_SECONDS):
        process.kill()
        process.communicate()
        raise RuntimeError("the process that verifies did not start, see the lines above")
    return process


@contextmanager
def limited(cpu_seconds: float) -> Iterator[None]:
    """In a child: what is done within has this much CPU time and MEMORY_BYTES; beyond them the process ends."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


@contextmanager
def unlimited() -> Iterator[None]:
    """Within `limited`: what is done here, such as importing a library, counts for no limit."""
    left = signal.setitimer(signal.ITIMER_PROF, 0)[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_PROF, left)


def main() -> None:
    """The child process: answers each line, a function with its arguments, until its input ends."""
    global in_child
    in_child = True
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    # What a verifier prints or reads is none of the protocol's.
    os.dup2(2, 1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    # Libraries log every text that they cannot read, and hostile text has no place in a log.
    logging.disable(logging.CRITICAL)
    print("ready", file=answers)
    for line in requests:
        function, *arguments = json.loads(line)
        name, _, attribute = function.partition(":")
        try:
            answer = [getattr(importlib.import_module(name), attribute)(*arguments), None]
        except MemoryError:
            answer = [None, OUT_OF_TIME]
        except Exception as error:
            answer = [None, f"the verifier raised {type(error).__name__}: {' '.join(str(error).split()):.100}"]
        print(json.dumps(answer), file=answers)
