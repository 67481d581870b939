"""The launcher of this machine: the bar on a terminal, and what happens when a rank fails."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.control import local_launcher


class Terminal(io.StringIO):
    """A standard error stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def rank(program: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", program], start_new_session=True)


def test_a_terminal_shows_the_progress_of_rank_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = tmp_path / "progress.json"
    published = {"label": "training", "done": 3, "total": 8, "unit": "steps", "note": {"loss": 2.5}}
    progress.write_text(json.dumps(published))
    assert local_launcher._watch("phase1", [rank("import time; time.sleep(0.3)")], progress) == 0
    shown = terminal.getvalue()
    assert "phase1: training" in shown
    assert "3/8" in shown
    assert "loss=2.5" in shown


def test_a_rank_that_fails_stops_the_others(tmp_path: Path) -> None:
    workers = [rank("import time; time.sleep(60)"), rank("raise SystemExit(7)")]
    assert local_launcher._watch("phase1", workers, tmp_path / "progress.json") == 7
    assert all(worker.returncode is not None for worker in workers)
