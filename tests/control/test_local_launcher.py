"""The launcher of this machine: the bar on a terminal, what happens when a rank fails, and how a stage is stopped."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.control import local_launcher
from pipeline.control.local_launcher import Ended
from pipeline.control.progress_display import ProgressDisplay
from pipeline.core.context import StopFlag
from pipeline.core.ports import PORTS
from pipeline.core.progress import Progress
from tests.processes import runs
from tests.runs import frozen_stage

LISTENS = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, {handler}); print('ready', flush=True); time.sleep(60)"
)
SAVES = LISTENS.format(handler="lambda *_: (time.sleep(1), sys.exit(75))")
"""A rank that takes a second to save."""
SAVES_AT_ONCE = SAVES.replace("sleep(1)", "sleep(0)")
SAVES_AT_LAST = SAVES.replace("time.sleep(1)", "sys.stdin.read()")
"""A rank that has saved when its input ends."""
HANGS = LISTENS.format(handler="signal.SIG_IGN")


class Terminal(io.StringIO):
    """A standard error stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def rank(program: str) -> "subprocess.Popen[bytes]":
    """A process that runs a program; if that prints something first, it has."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if "ready" in program:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    return process


def watch(
    workers: "list[subprocess.Popen[bytes]]", folder: Path, stop: StopFlag | None = None, patience: float = 60
) -> Ended:
    stop, display = stop or StopFlag(), ProgressDisplay("phase1", "5/26")
    return local_launcher._watch("phase1", workers, folder / "progress.json", stop, patience, display)


def raised() -> StopFlag:
    stop = StopFlag()
    stop.raised = True
    return stop


def test_a_terminal_shows_the_progress_of_rank_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    progress = Progress(tmp_path / "progress.json")
    progress.start(total=8, counted="steps", label="training")
    progress.note(loss=2.5)
    progress.update(8)
    assert watch([rank("import time; time.sleep(0.3)")], tmp_path).codes == {0: 0}
    shown = terminal.getvalue().split("\r")[-3]
    assert shown.startswith("[5/26] phase1 ")
    assert "8/8 steps" in shown
    assert "loss=2.5" in shown


def test_a_rank_that_fails_stops_the_others(tmp_path: Path) -> None:
    workers = [rank("import time; time.sleep(60)"), rank("raise SystemExit(7)")]
    assert watch(workers, tmp_path).codes == {0: -signal.SIGTERM, 1: 7}


def test_a_rank_that_does_not_end_after_another_failed_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_launcher, "GRACE_SECONDS", 0.5)
    ended = watch([rank(HANGS), rank("raise SystemExit(7)")], tmp_path)
    assert (ended.codes, ended.killed) == ({1: 7}, [0])


def test_a_save_may_take_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than ranks get after a failure; the one that saved first is no failure."""
    monkeypatch.setattr(local_launcher, "GRACE_SECONDS", 0.1)
    ended = watch([rank(SAVES), rank(SAVES_AT_ONCE)], tmp_path, raised())
    assert (ended.codes, ended.killed) == ({0: 75, 1: 75}, [])


def test_a_rank_that_hangs_does_not_outlive_the_launcher(tmp_path: Path) -> None:
    # The second has little to do in that time, which a busy machine may spend on others.
    workers = [rank(HANGS), rank(SAVES_AT_ONCE)]
    ended = watch(workers, tmp_path, raised(), patience=5)
    assert (ended.codes, ended.killed, ended.limit) == ({0: -signal.SIGKILL, 1: 75}, [0], 5)
    assert all(worker.poll() is not None for worker in workers)


def test_ctrl_backslash_ends_a_rank_that_is_stopped_too(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "from pipeline.control import local_launcher\n"
        f"rank = subprocess.Popen([sys.executable, '-c', {HANGS!r}], start_new_session=True)\n"
        "with local_launcher._ended_with([rank]):\n"
        "    print(rank.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert launcher.stdout is not None
    stopped = {line for line in (launcher.stdout.readline(), launcher.stdout.readline()) if line.strip().isdigit()}
    (hung,) = map(int, stopped)
    os.kill(hung, signal.SIGSTOP)
    launcher.send_signal(signal.SIGQUIT)
    assert launcher.wait(30) == -signal.SIGQUIT
    deadline = time.monotonic() + 30
    while runs(hung):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_kind_that_cannot_save_is_ended_at_once(tmp_path: Path) -> None:
    assert watch([rank(HANGS)], tmp_path, raised(), patience=0).codes == {0: 75}


def test_a_rank_that_does_not_listen_yet_has_nothing_to_lose(tmp_path: Path) -> None:
    assert watch([rank("import time; time.sleep(60)")], tmp_path, raised()).codes == {0: 75}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_launcher_makes_ranks_save_and_so_does_a_second(
    tmp_path: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = rank(SAVES_AT_LAST)

    def stop_three_times() -> None:
        # All of them while the rank saves, and while this process takes them: one that came later would end it.
        for _ in range(3):
            time.sleep(0.3)
            os.kill(os.getpid(), number)
        assert worker.stdin is not None
        worker.stdin.close()

    with local_launcher.stop_signals() as stop:
        user = threading.Thread(target=stop_three_times)
        user.start()
        assert watch([worker], tmp_path, stop).codes == {0: 75}
        user.join()
        assert stop.raised
    assert capsys.readouterr().err.count("fivephase: phase1: saving…; Ctrl-\\ ends at once\n") == 1


def test_threads_are_those_of_the_settings_else_of_the_user_else_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"nodes": 1, "processes_per_node": 2, "threads": 3}
    stage = frozen_stage("phase1", "0" * 64, resources=resources)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert local_launcher._environment(stage, 2, 1)["OMP_NUM_THREADS"] == "3"
    resources["threads"] = None  # type: ignore[assignment]
    assert local_launcher._environment(stage, 2, 1)["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert local_launcher._environment(stage, 2, 1)["OMP_NUM_THREADS"] == "5"


def test_ranks_meet_at_a_port_that_no_connection_is_given() -> None:
    stage = frozen_stage("phase1", "0" * 64, resources={"nodes": 1, "processes_per_node": 2, "threads": 1})
    assert int(local_launcher._environment(stage, 2, 1)["MASTER_PORT"]) in PORTS


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with local_launcher.stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.raised
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
