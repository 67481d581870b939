"""A worker process: what ends it, and how it says so."""

import signal
import subprocess
import sys
from pathlib import Path

from pipeline.core.errors import EXIT_USER_ERROR
from pipeline.core.files import read_json
from tests.runs import PHASE_INPUTS, freeze, outcome, phase_settings, start_worker, wait_until, write_phase_inputs


def stage_of(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    write_phase_inputs(run)
    return freeze(run, "phase1", "pretrain", phase_settings(), PHASE_INPUTS)


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    """/dev/full is a disk without room for what the stage writes first."""
    stage = stage_of(tmp_path)
    attempt = stage / "attempts" / "1"
    attempt.mkdir(parents=True)
    (attempt / "progress.tmp").symlink_to("/dev/full")
    worker = start_worker(stage, FIVEPHASE_ATTEMPT="1")
    said = worker.communicate(timeout=300)[1].decode().splitlines()
    assert worker.returncode == EXIT_USER_ERROR
    assert "no space left on the disk" in said[-1]
    assert "run again" in said[-1]
    assert read_json(attempt / "error-0.json")["type"] == "DiskFullError"


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    first = start_worker(stage)
    try:
        wait_until(lambda: (stage / "attempts" / "1" / "progress.json").exists(), first)
        # It is not to be done before the second looks.
        first.send_signal(signal.SIGSTOP)
        code, said = outcome(stage)
        assert code == EXIT_USER_ERROR
        assert "another process works on this stage" in said
    finally:
        first.kill()
        first.communicate()


def test_a_folder_that_was_not_frozen_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.worker", str(tmp_path / "run" / "phase1")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == EXIT_USER_ERROR
    assert "fivephase run" in ended.stderr.splitlines()[-1]
