"""A lock that holds between machines: who holds it, and when it counts as left behind."""

import dataclasses
import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.core import lock
from pipeline.core.errors import BusyError
from pipeline.core.files import write_json
from pipeline.core.lock import Owner, lock_path, read_owner, readers, stage_lock, this_process

HOLDER = "import sys, time; from pathlib import Path; from pipeline.core.lock import stage_lock\n"
HOLDER += "with stage_lock(Path(sys.argv[1]), ['tokens']): print('held', flush=True); time.sleep(600)"


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    return tmp_path / "run" / "phase1"


def held_elsewhere(stage: Path, **changes: object) -> Owner:
    """A lock that a process of another machine holds, or has left."""
    owner = dataclasses.replace(this_process(), token="elsewhere", host="node7", machine="other", **changes)
    write_json(lock_path(stage), dataclasses.asdict(owner))
    return owner


def test_one_process_at_a_time(stage: Path) -> None:
    with stage_lock(stage):
        with pytest.raises(BusyError, match=rf"phase1: process {os.getpid()} on \S+ works on this stage"):
            stage_lock(stage).__enter__()
        # The folder may move meanwhile; the lock does not.
        assert not stage.exists()
    with stage_lock(stage) as again:
        again.check()
    assert not lock_path(stage).exists()


def test_one_process_at_a_time_where_files_have_no_links(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    # As FAT, exFAT and some network file systems answer; none can be mounted by a test.
    monkeypatch.setattr(os, "link", refuse)
    with stage_lock(stage) as held:
        with pytest.raises(BusyError, match=rf"phase1: process {os.getpid()} on \S+ works on this stage"):
            stage_lock(stage).__enter__()
        held.check()
    assert not list(lock_path(stage).parent.iterdir())


def test_a_killed_process_of_this_machine_holds_nothing(stage: Path) -> None:
    """A stopped one does: it may go on."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(stage)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.send_signal(signal.SIGSTOP)
    with pytest.raises(BusyError, match=f"process {holder.pid} "):
        stage_lock(stage).__enter__()
    assert [owner.pid for owner in readers(stage.with_name("tokens"))] == [holder.pid]
    holder.kill()
    holder.wait()
    assert not readers(stage.with_name("tokens"))
    with stage_lock(stage):
        pass


def test_a_copied_run_is_free_and_a_renamed_one_is_not(stage: Path) -> None:
    """The lock of a stage that runs comes along in both; through a link the run is the same."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(stage)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    run = stage.parent
    copied = run.with_name("copied")
    shutil.copytree(run, copied)
    assert not readers(copied / "tokens")
    with stage_lock(copied / stage.name) as mine:
        mine.check()
    linked = run.with_name("linked")
    linked.symlink_to(run)
    renamed = run.with_name("renamed")
    for same in (run, linked, renamed):
        if same == renamed:
            run.rename(renamed)
        with pytest.raises(BusyError, match=f"process {holder.pid} "):
            stage_lock(same / stage.name).__enter__()
    holder.kill()
    holder.wait()


def test_an_owner_renews_its_lock(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.05)
    with stage_lock(stage):
        for _ in range(2):
            os.utime(lock_path(stage), (0, 0))
            deadline = time.monotonic() + 60
            while lock_path(stage).stat().st_mtime == 0:
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_a_renewed_lock_of_another_machine_holds(stage: Path) -> None:
    held_elsewhere(stage, job="41")
    refused = threading.Event()

    def renew() -> None:
        # Again and again: one renewal may come before the first look at the file.
        while not refused.wait(0.1):
            os.utime(lock_path(stage))

    owner = threading.Thread(target=renew)
    owner.start()
    try:
        with pytest.raises(BusyError, match=r"on node7, job 41 works on this stage"):
            stage_lock(stage).__enter__()
    finally:
        refused.set()
        owner.join()


def test_a_lock_that_nobody_renews_is_taken_over(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "STALE_SECONDS", 2.0)
    held_elsewhere(stage)
    with stage_lock(stage) as taken:
        taken.check()
    # One whose owner was killed before it wrote its name.
    lock_path(stage).touch()
    with stage_lock(stage) as taken:
        taken.check()


def test_a_requeued_job_takes_its_own_lock_at_once(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_elsewhere(stage, job="41", restarts=0)
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    began = time.monotonic()
    with stage_lock(stage):
        assert time.monotonic() - began < lock.STALE_SECONDS / 2


def test_an_owner_notices_that_it_lost_the_lock(stage: Path) -> None:
    with stage_lock(stage) as mine:
        held_elsewhere(stage)
        with pytest.raises(BusyError, match=r"lost to process .* on node7"):
            mine.check()
    owner = read_owner(lock_path(stage))
    assert owner is not None
    assert owner.host == "node7"


def _compete(stage: Path, start: object, won: object, over: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    try:
        with stage_lock(stage):
            won.put(os.getpid())  # type: ignore[attr-defined]
            # Held until all have tried, however late some of them get a processor.
            over.wait()  # type: ignore[attr-defined]
    except BusyError:
        won.put(None)  # type: ignore[attr-defined]


def test_one_of_many_takes_a_dead_lock(stage: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(stage)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    context = multiprocessing.get_context("fork")
    start, won, over = context.Barrier(8), context.Queue(), context.Event()
    processes = [context.Process(target=_compete, args=(stage, start, won, over)) for _ in range(8)]
    for process in processes:
        process.start()
    try:
        found = [won.get(timeout=60) for _ in processes]
    finally:
        over.set()
    for process in processes:
        process.join()
    assert len([each for each in found if each is not None]) == 1
