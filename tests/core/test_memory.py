"""What workers hold counts, once."""

import subprocess
import sys
import time

import pytest

from pipeline.core import memory
from pipeline.core.memory import PeakMemory, tree_bytes

MEBIBYTE = 1 << 20
HOLDS = "import sys; held = bytearray(b'x' * (96 << 20)); print('held', flush=True); sys.stdin.read()"
"""A program that holds 96 MiB until its input ends."""
PARENT = (
    f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {HOLDS!r}]); import time; time.sleep(600)"
)
"""As a fork server does: this process is never told that the child has ended."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_peak_is_of_all_processes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SECONDS", 0.01)
    watched, before = PeakMemory(), tree_bytes()
    children = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for program in (HOLDS, PARENT)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == b"held\n"
        assert 2 * 96 * MEBIBYTE < tree_bytes() - before < 3 * 96 * MEBIBYTE
        deadline = time.monotonic() + 60
        while watched.peak_bytes() < before + 2 * 96 * MEBIBYTE:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        for child in children:
            child.kill()
            child.communicate()
    while tree_bytes() > before + 96 * MEBIBYTE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert watched.peak_bytes() >= before + 2 * 96 * MEBIBYTE, "a peak stays"
