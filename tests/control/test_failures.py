"""Which of several ranks that failed is named, and how."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.control.failures import exit_code, failure_line, record_error
from pipeline.core.errors import DataError
from pipeline.core.ports import free_port

PROGRAM = """
import os, sys, traceback
from pathlib import Path
import torch, torch.distributed as distributed
from pipeline.control.failures import record_error
from pipeline.core.errors import DataError
attempt, how = Path(sys.argv[1]), sys.argv[2]
rank = int(os.environ["RANK"])
distributed.init_process_group("gloo")
try:
    if rank == 1:
        if how == "killed":
            os.kill(os.getpid(), 9)
        raise DataError("rank 1 has no tokens") if how == "user" else ValueError("line one\\nline two")
    while True:
        distributed.all_reduce(torch.zeros(1))
except Exception as error:
    record_error(attempt, rank, error, attempt)
    os._exit(1 + (rank == 1 and how == "user"))
"""


def end_of_two_ranks(attempt: Path, how: str) -> dict[int, int]:
    """Exit codes of two gloo ranks, of which rank 1 fails and rank 0 loses it."""
    port = free_port()
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    ranks = []
    for number in range(2):
        with (attempt / f"rank-{number}.log").open("wb") as log:
            command = ["env", *(f"{k}={v}" for k, v in common.items()), f"RANK={number}"]
            command += [sys.executable, "-c", PROGRAM, str(attempt), how]
            ranks.append(subprocess.Popen(command, stdout=log, stderr=log))
    return {number: process.wait(120) for number, process in enumerate(ranks)}


@pytest.mark.parametrize(
    ("how", "code", "line"),
    [
        ("user", 2, "phase1: rank 1 has no tokens"),
        ("fault", 1, "phase1 failed in rank 1 (fault): ValueError: line one; see {log}, or run again to retry"),
        (
            "killed",
            137,
            "phase1 failed in rank 1 (killed): ended by SIGKILL, as by the system when memory runs out; see {log}, "
            "or run again to retry",
        ),
    ],
)
def test_who_lost_another_rank_does_not_speak_for_it(tmp_path: Path, how: str, code: int, line: str) -> None:
    attempt = tmp_path / "phase1" / "attempts" / "1"
    attempt.mkdir(parents=True)
    codes = end_of_two_ranks(attempt, how)
    assert codes[0] != 0
    assert failure_line(tmp_path / "phase1", attempt, codes) == line.format(log=attempt / "rank-1.log")
    assert exit_code(attempt, codes) == code
    # What a batch job prints, from the files that its tasks leave.
    for rank, each in codes.items():
        (attempt / f"exit-{rank}").write_text(f"{each if each > 0 else 128 - each}\n")
    command = [sys.executable, "-m", "pipeline.control.failures", str(tmp_path / "phase1"), str(attempt)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == line.format(log=attempt / "rank-1.log") + "\n"


def test_the_first_of_equals_speaks(tmp_path: Path) -> None:
    for rank in (1, 0):
        record_error(tmp_path, rank, DataError(f"rank {rank} found it"), tmp_path)
    assert failure_line(tmp_path / "phase1", tmp_path, {0: 2, 1: 2}) == "phase1: rank 1 found it"


def test_what_a_rank_recorded_first_stands(tmp_path: Path) -> None:
    """It does so at once, and again after it has ended its tracking, which takes seconds."""
    for rank in (0, 1, 0):
        record_error(tmp_path, rank, DataError(f"rank {rank} found it"), tmp_path)
    assert failure_line(tmp_path / "phase1", tmp_path, {0: 2, 1: 2}) == "phase1: rank 0 found it"


def test_a_rank_without_a_record_is_quoted_from_its_log(tmp_path: Path) -> None:
    (tmp_path / "rank-1.log").write_text("Traceback\nImportError: no such thing\n\n")
    line = failure_line(tmp_path / "phase1", tmp_path, {1: 1})
    assert "rank 1 (fault): exit code 1: ImportError: no such thing" in line
    assert "no output" in failure_line(tmp_path / "phase1", tmp_path, {0: 1})


@pytest.mark.parametrize(
    ("codes", "code"),
    [({}, 0), ({0: 0, 1: 0}, 0), ({0: 75, 1: 0}, 75), ({0: 75, 1: 7}, 7), ({0: -signal.SIGSEGV, 1: 75}, 139)],
)
def test_the_exit_code_of_a_stage(codes: dict[int, int], code: int, tmp_path: Path) -> None:
    assert exit_code(tmp_path, codes) == code
