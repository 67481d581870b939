"""`fivephase run` as a user stops it: the stage that runs saves or ends, and the next does not start."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.progress import read_progress
from tests.processes import running, survivors
from tests.runs import publish_documents, wait_until

SETTINGS = ["scale=smoke", "model.vocab_size=1024", "model.layers=1", "stages.phase1.config.tokens=16384"]


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    """Those of a run that has its documents."""
    chosen = [*SETTINGS, f"root={tmp_path}", "run=stopped"]
    publish_documents(tmp_path / "stopped", chosen)
    return chosen


def start(overrides: list[str], first: str, last: str, marker: str, **options: Any) -> "subprocess.Popen[Any]":
    """`fivephase run` of a part, whose processes carry the marker in their environment."""
    chosen: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", *overrides, f"from={first}", f"to={last}"],
        env={**os.environ, "FIVEPHASE_TEST": marker},
        start_new_session=True,
        **chosen,
    )


def runs_worker(folder: Path, marker: str) -> bool:
    """Whether a rank of the stage has been started, beside the launcher."""
    return (folder / "attempts" / "1" / "rank-0.log").exists() and len(running(f"FIVEPHASE_TEST={marker}")) > 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.timeout(300)
def test_a_stage_that_cannot_save_ends_and_none_follows(
    overrides: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    marker = f"{tmp_path}"
    launcher = start(overrides, "tokenizer", "tokenize", marker)
    wait_until(lambda: runs_worker(tmp_path / "stopped" / "tokenizer", marker), launcher)
    for _ in range(3):
        launcher.send_signal(number)
    said = launcher.communicate(timeout=120)[1].decode()
    assert launcher.returncode == 75
    assert said == ("fivephase: tokenizer: ended at once, as this kind of stage cannot save; run again to make it\n")
    assert not (tmp_path / "stopped" / "tokenize").exists()
    assert survivors(f"FIVEPHASE_TEST={marker}") == []


@pytest.mark.timeout(300)
def test_a_signal_as_a_stage_finishes_starts_no_other(overrides: list[str], tmp_path: Path) -> None:
    """The stage is done and stays so. The launcher stands still until then, and gets the signal when it goes on."""
    marker, tokenizer = str(tmp_path), tmp_path / "stopped" / "tokenizer"
    launcher = start(overrides, "tokenizer", "tokenize", marker)
    wait_until(lambda: runs_worker(tokenizer, marker), launcher)
    launcher.send_signal(signal.SIGSTOP)
    wait_until(
        lambda: (tokenizer / "manifest.json").exists() and len(running(f"FIVEPHASE_TEST={marker}")) == 1, launcher
    )
    launcher.send_signal(signal.SIGTERM)
    launcher.send_signal(signal.SIGCONT)
    said = launcher.communicate(timeout=120)[1].decode()
    assert launcher.returncode == 75
    assert said.splitlines()[-1] == "fivephase: stopped before tokenize; run again to continue"
    assert not (tmp_path / "stopped" / "tokenize" / "attempts").exists()


@pytest.mark.timeout(300)
def test_a_terminal_that_is_closed_stops_the_run(overrides: list[str], tmp_path: Path) -> None:
    """The launcher still has to draw its bar and to say how it ended."""
    ours, theirs = pty.openpty()
    launcher = start(
        overrides,
        "tokenizer",
        "tokenize",
        str(tmp_path),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    wait_until(lambda: runs_worker(tmp_path / "stopped" / "tokenizer", str(tmp_path)), launcher)
    os.close(ours)
    assert launcher.wait(120) == 75
    assert survivors(f"FIVEPHASE_TEST={tmp_path}") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_phase_saves(overrides: list[str], tmp_path: Path) -> None:
    longer = [*overrides, "stages.phase1.config.tokens=100000", "stages.phase1.config.max_epochs=100"]
    longer += ["stages.phase1.config.context=64", "tracking=off"]
    phase = tmp_path / "stopped" / "phase1"
    launcher = start(longer, "tokenizer", "phase1", str(tmp_path))

    def trains() -> bool:
        return ((read_progress(phase / "attempts" / "1" / "progress.json") or {}).get("done") or 0) != 0

    wait_until(trains, launcher)
    launcher.send_signal(signal.SIGTERM)
    launcher.send_signal(signal.SIGTERM)
    said = launcher.communicate(timeout=300)[1].decode()
    assert launcher.returncode == 75
    assert said.endswith(
        "fivephase: phase1: saving…; Ctrl-\\ ends at once\n"
        "fivephase: phase1: stopped and saved; run again to continue\n"
    )
    assert list((phase / "state").rglob("*.json"))
