"""Whether two mathematical expressions are equal, decided by math-verify in a child process that can be killed.

`9**9**9**9` keeps a computer algebra system busy forever, and math-verify's own time limit is an alarm signal, which
works in the main thread alone. So the comparison happens in a child with limits of memory and CPU time, and when it has
died of one the parent starts another for the next comparison.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading

from pipeline.core.installation import python_path
from pipeline.core.stop_signals import stop_signals_blocked

MAX_EXPRESSION_CHARACTERS = 200
CPU_SECONDS = 5.0
"""CPU time of one comparison. A limit by the clock would make verdicts depend on what else the machine does."""
DEADLINE_SECONDS = 300.0
"""Time by the clock, for a child that hangs or whose machine is very busy."""
START_SECONDS = 600.0
"""Importing the algebra system takes seconds, far longer on a busy machine; only the first call waits."""
MEMORY_BYTES = 2 << 30

_lock = threading.Lock()
_child: subprocess.Popen[str] | None = None


def _read_line(child: subprocess.Popen[str], seconds: float) -> str:
    """The child's next line, or "" if none comes within the time."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        return child.stdout.readline() if selector.select(seconds) else ""


def _stop() -> None:
    global _child
    if _child is not None:
        _child.kill()
        _child.communicate()
        _child = None


atexit.register(_stop)


def _start() -> subprocess.Popen[str]:
    # A signal to all processes of the stage must not look like a comparison that took too long.
    with stop_signals_blocked():
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.environments.expressions"],
            env={**os.environ, "PYTHONPATH": python_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
    if not _read_line(child, START_SECONDS):
        child.kill()
        child.communicate()
        raise RuntimeError("the process that compares expressions did not start, is math-verify installed?")
    return child


def equivalent(reference: str, expression: str) -> bool | None:
    """Whether two expressions are equal; None if the comparison took more than CPU_SECONDS or MEMORY_BYTES.

    An expression of more than MAX_EXPRESSION_CHARACTERS equals nothing. Calls from several threads take turns.

    Raises:
        RuntimeError: if the child process does not start.
    """
    global _child
    if max(len(reference), len(expression)) > MAX_EXPRESSION_CHARACTERS:
        return False
    with _lock:
        if _child is None:
            _child = _start()
        assert _child.stdin is not None
        try:
            _child.stdin.write(json.dumps([reference, expression, CPU_SECONDS]) + "\n")
            line = _read_line(_child, DEADLINE_SECONDS)
        except BrokenPipeError:
            line = ""
        if not line:
            _stop()
            return None
        return bool(json.loads(line))


def main() -> None:
    """The child process: answers each line, a JSON pair of expressions, with true or false until its input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    from math_verify import parse, verify

    # math-verify logs every expression that it cannot read, and hostile text has no place in a log.
    logging.disable(logging.CRITICAL)
    print("ready", flush=True)
    for line in sys.stdin:
        reference, expression, cpu_seconds = json.loads(line)
        # When the time is used up, the system ends this process by a signal.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        # 0 means no time limit.
        gold = parse(f"${reference}$", parsing_timeout=0)
        answer = parse(f"${expression}$", parsing_timeout=0)
        same = bool(verify(gold, answer, timeout_seconds=0))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(same), flush=True)


if __name__ == "__main__":
    main()
