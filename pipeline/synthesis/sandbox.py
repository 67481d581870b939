"""Executes code that may be wrong: starts `runner.py` as an isolated process in an empty folder, with limits.

This keeps honest mistakes and simple mischief in. It is no virtual machine: see `runner.restrict_process`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).with_name("runner.py")
WALL_CLOCK_PER_CPU_SECOND = 10
"""The time limit by the clock, for processes that sleep; a busy machine may give a process a tenth of its time."""


def execute(job: dict[str, Any], cpu_seconds: int, memory_bytes: int) -> tuple[Any, str | None]:
    """The result of a job and None, or None and the reason for which it has no result.

    The reason is `timeout`, `exit_<status>: <last line of standard error>` or `no_result`.

    Args:
        job: what `runner.main` takes, `{"module": name}` or `{"programs": [{"code": source}]}`.
        cpu_seconds: most CPU time of the process; by the clock it gets ten times as much.
        memory_bytes: most address space of the process.
    """
    limits = {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-B", str(RUNNER)],
                input=json.dumps({**job, **limits}).encode(),
                capture_output=True,
                cwd=folder,
                env={"LC_ALL": "C.UTF-8", "COLUMNS": "80", "OMP_NUM_THREADS": "1"},
                timeout=cpu_seconds * WALL_CLOCK_PER_CPU_SECOND,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, "timeout"
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return None, f"exit_{done.returncode}: {' '.join(last)}"[:200]
    try:
        return json.loads(done.stdout), None
    except ValueError:
        return None, "no_result"
