"""Executes code that may be wrong: starts `sandbox_runner.py` as an isolated process in an empty folder, with limits.

This keeps honest mistakes and simple mischief in. It is no virtual machine: see `sandbox_runner.restrict_process`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.core.stop_signals import stop_signals_blocked

RUNNER = Path(__file__).with_name("sandbox_runner.py")
WALL_CLOCK_PER_CPU_SECOND = 30
"""The time limit by the clock, for processes that sleep; a busy machine may give one a thirtieth of its time."""


def execute(job: dict[str, Any], cpu_seconds: int, memory_bytes: int) -> tuple[Any, str | None]:
    """The result of a job and None, or None and the reason for which it has no result.

    The reason is `timeout`, `exit_<status>: <last line of standard error>` or `no_result`. The code may have written
    the result itself, so neither its form nor what it says of the code is to be trusted.

    Args:
        job: what `sandbox_runner.main` takes: `{"module": name}`, `{"programs": [{"code": source}]}`, or
            `{"code": source, "calls": [expression]}`.
        cpu_seconds: most CPU time of the process; by the clock it gets thirty times as much.
        memory_bytes: most address space of the process.
    """
    limits = {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes}
    with (
        tempfile.TemporaryDirectory() as folder,
        # Files and not pipes: the process may write only so much to a file, and this one reads it when that is over.
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        try:
            # A signal to all processes of the stage must not look like a failure of the code.
            with stop_signals_blocked():
                done = subprocess.run(
                    [sys.executable, "-I", "-B", str(RUNNER)],
                    input=json.dumps({**job, **limits}).encode(),
                    stdout=output,
                    stderr=errors,
                    cwd=folder,
                    env={"LC_ALL": "C.UTF-8", "COLUMNS": "80", "OMP_NUM_THREADS": "1"},
                    timeout=cpu_seconds * WALL_CLOCK_PER_CPU_SECOND,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return None, "timeout"
        output.seek(0)
        errors.seek(0)
        if done.returncode:
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            return None, f"exit_{done.returncode}: {' '.join(last)}"[:200]
        try:
            return json.loads(output.read()), None
        except (ValueError, RecursionError):
            return None, "no_result"
