"""Processes that stop at a chosen moment and wait there to be killed, so that a kill hits them on any machine."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def wait_to_be_killed(marker: Path) -> None:
    """Says by a file that the moment has come, and does nothing more."""
    marker.touch()
    while True:
        time.sleep(600)


def stop_at_rename(chosen: Callable[[Path], bool], marker: Path, after: bool = False) -> None:
    """From now on this process stops where it would give a chosen file its name, or right `after`.

    Everything that the pipeline writes is first written beside its place and then renamed: stopped before, the file is
    whole under another name; stopped after, what makes it count as done is still to come.
    """

    def stopping(rename: Callable[[Path, str | os.PathLike[str]], Path]) -> Callable[[Path, Path], Path]:
        def renamed(self: Path, target: Path) -> Path:
            found = rename(self, target) if after or not chosen(Path(target)) else self
            if chosen(Path(target)):
                wait_to_be_killed(marker)
            return found

        return renamed

    Path.rename, Path.replace = stopping(Path.rename), stopping(Path.replace)  # type: ignore[method-assign]


def kill_when_stopped(process: "subprocess.Popen[bytes]", marker: Path) -> None:
    """Waits until a process has stopped, then kills it, and asserts that the kill is what ended it."""
    try:
        while not marker.exists():
            assert process.poll() is None, f"ended with {process.returncode} before it was to be killed"
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    marker.unlink()
