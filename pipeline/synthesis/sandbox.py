"""Starts `runner.py` in isolated mode, in an empty folder, with an empty environment and limits."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).with_name("runner.py")
WALL_CLOCK_PER_CPU_SECOND = 10
"""A busy machine gives a process a tenth of its time; a process that sleeps is stopped all the same."""


def run(job: dict[str, Any], cpu_seconds: int, memory_bytes: int) -> tuple[Any, str | None]:
    """The result of a job, or None and why there is none: `timeout`, how the process ended, `no_result`."""
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
