"""What is logged arrives in the files of Weights & Biases, and no trouble there changes how a stage ends."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pipeline.core import tracking
from pipeline.core.artifact import load
from pipeline.core.config import TrackingConfig
from pipeline.core.context import ATTEMPT_VARIABLE
from pipeline.core.errors import EXIT_DONE, EXIT_REQUEUE, ConfigError
from pipeline.core.files import read_json
from pipeline.core.tracking import FINISH_SECONDS, Tracker, check_login
from tests.processes import descendants
from tests.runs import PHASE_INPUTS, freeze, outcome, phase_settings, start_worker, wait_until, write_phase_inputs
from tests.wandb_records import history, records, sent_tokens

STEP_TOKENS = 8 * 16
KEY = "0123456789abcdef" * 3
"""What wandb takes for an API key."""
needs_proc = pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes in /proc")


def test_a_stage_leaves_its_offline_record(tmp_path: Path) -> None:
    """Configuration, metrics against tokens, results and the manifest, under the run's name and the stage's.

    Nothing is left in the home folder, and a key nowhere.
    """
    home, run = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    stage = tracked_phase(run)
    worker = start_worker(stage, HOME=str(home), WANDB_API_KEY=KEY)
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_DONE, said
    assert not warnings(said)
    assert not list(home.rglob("*wandb*"))
    assert KEY not in said
    assert not [path for path in run.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]

    (path,) = run.glob("wandb/offline-run-*/*.wandb")
    found = list(records(path))
    (start,) = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    assert (start.run_id, start.run_group, start.job_type) == ("run-phase1", "run", "phase1")
    logged = {item.key: json.loads(item.value_json) for item in start.config.update}
    assert logged["context"] == 16
    assert logged["learning_rate"] == {"law": "linear", "start": 0.01}

    rows = history(path)
    assert [row["tokens"] for row in rows] == sorted(every_second(10))
    assert rows[0]["train/loss"] > rows[-1]["train/loss"]

    summary: dict[str, float] = {}
    for record in found:
        if record.WhichOneof("record_type") == "summary":
            for item in record.summary.update:
                summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    assert summary["loss/end/mean"] == pytest.approx(load(stage).manifest.metrics["loss/end/mean"])
    assert any("run-phase1-manifest" in str(record) for record in found)


def test_off_sends_nothing_and_keeps_the_metrics(tmp_path: Path) -> None:
    tracker = Tracker(TrackingConfig(mode="off"), "run", "phase1", tmp_path)
    tracker.log({"train/loss": 1.0}, tokens=8, step=2)
    tracker.finish({}, tmp_path / "manifest.json")
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert read_json(tmp_path / "metrics.jsonl") == {"train/loss": 1.0, "tokens": 8, "step": 2}


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    tracker = Tracker(None, "run", "phase1", tmp_path)
    tracker.log({"train/loss": 1.0}, tokens=1)
    tracker.finish({}, tmp_path / "manifest.json")
    assert not list(tmp_path.iterdir())


def tracked_phase(run: Path, steps: int = 10, mode: str = "offline") -> Path:
    """A frozen phase of so many steps, of which every second is logged."""
    write_phase_inputs(run)
    settings = phase_settings(tokens=steps * STEP_TOKENS, log_every_steps=2, save_every_steps=1000)
    return freeze(run, "phase1", "pretrain", settings, PHASE_INPUTS, tracking={"mode": mode})


def every_second(steps: int) -> set[int]:
    return {step * STEP_TOKENS for step in range(2, steps + 1, 2)}


def warnings(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("tracking: ")]


def core_of(process: int) -> list[int]:
    """The wandb-core below a process, if it is there."""
    found = []
    for each in descendants(process):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{each}/comm").read_text().startswith("wandb-core"):
                found.append(each)
    return found


def train_until_tracked(stage: Path) -> subprocess.Popen[bytes]:
    """Starts a worker, and waits until it trains and wandb-core is there."""
    worker = start_worker(stage, **{ATTEMPT_VARIABLE: "1"})
    progress = stage / "attempts" / "1" / "progress.json"
    wait_until(lambda: progress.exists() and read_json(progress)["done"] >= 10 and bool(core_of(worker.pid)), worker)
    return worker


@pytest.mark.slow
@needs_proc
def test_a_stop_signal_to_all_processes_of_a_job_saves_and_loses_no_row(tmp_path: Path) -> None:
    """As Slurm's preemption sends it."""
    run, steps = tmp_path / "run", 200
    stage = tracked_phase(run, steps)
    worker = train_until_tracked(stage)
    for process in [worker.pid, *descendants(worker.pid)]:
        os.kill(process, signal.SIGTERM)
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_REQUEUE, said
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    assert sent_tokens(run, "phase1") == every_second(steps)


@pytest.mark.slow
@pytest.mark.exhaustive
@needs_proc
@pytest.mark.parametrize("victims", [core_of, descendants])
def test_a_killed_process_of_the_tracker_costs_one_line(
    victims: Callable[[int], Iterable[int]], tmp_path: Path
) -> None:
    run, steps = tmp_path / "run", 200
    stage = tracked_phase(run, steps)
    worker = train_until_tracked(stage)
    for process in list(victims(worker.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_DONE, said
    assert len(warnings(said)) == 1, said
    assert sent_tokens(run, "phase1") == every_second(steps)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    stage = tracked_phase(tmp_path / "run", mode="online")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        worker = start_worker(stage, WANDB_BASE_URL=address, WANDB_API_KEY=KEY)
        said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_DONE, said
    (warning,) = warnings(said)
    assert f"did not take all of it within {FINISH_SECONDS:.0f} s" in warning
    assert not list(descendants(worker.pid))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_an_error_at_the_end_leaves_the_stage_done_and_its_remedy_works(tmp_path: Path) -> None:
    """The manifest cannot be staged; the command that the warning names then sends all of it, once."""
    run = tmp_path / "run"
    stage = tracked_phase(run)
    worker = start_worker(stage, WANDB_DATA_DIR="/dev/null/nowhere")
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_DONE, said
    (warning,) = warnings(said)
    assert warning.startswith("tracking: PermissionError: Unable to write staging files to /dev/null/nowhere")

    command = re.search("`(.*)`", warning)
    assert command is not None
    for _ in range(2):
        before = set(run.glob("wandb/offline-run-*"))
        subprocess.run(command.group(1), shell=True, check=True, timeout=300)
        new = set(run.glob("wandb/offline-run-*")) - before
    assert not new
    last = max(before)
    (record,) = last.glob("*.wandb")
    assert {row["tokens"] for row in history(record)} == every_second(10)
    assert any("run-phase1-manifest" in str(each) for each in records(record))


@needs_proc
def test_a_process_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "FINISH_SECONDS", 1.0)
    before = set(descendants(os.getpid()))
    tracker = tracker_of(tmp_path / "run" / "phase1" / "attempts" / "1")
    (sender,) = set(descendants(os.getpid())) - before
    os.kill(sender, signal.SIGSTOP)
    tracker.log({"train/loss": 1.0}, tokens=1)
    began = time.monotonic()
    tracker.finish({}, tmp_path / "manifest.json")
    assert time.monotonic() - began < 60, "nor is it waited for"
    (warning,) = warnings(capsys.readouterr().err)
    assert "did not take all of it within 1 s" in warning
    assert os.waitpid(sender, 0)[1] == signal.SIGKILL


def test_what_cannot_be_written_costs_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempt = tmp_path / "run" / "phase1" / "attempts" / "1"
    tracker = tracker_of(attempt)
    shutil.rmtree(attempt)
    for step in range(3):
        tracker.log({"train/loss": 1.0}, tokens=step)
    assert len(warnings(capsys.readouterr().err)) == 1
    tracker.fail()


def tracker_of(attempt: Path) -> Tracker:
    attempt.mkdir(parents=True)
    return Tracker(TrackingConfig(mode="offline"), "run", "phase1", attempt)


@pytest.fixture
def logged_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without login, and no server to ask."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC", "WANDB_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    return monkeypatch


def test_a_missing_login_is_said_where_metrics_are_sent_at_once(logged_out: pytest.MonkeyPatch) -> None:
    online = TrackingConfig(mode="online")
    with pytest.raises(ConfigError, match=r"tracking\.mode=online: .*`wandb login`, .*WANDB_API_KEY, .*=offline"):
        check_login(online)
    check_login(TrackingConfig(mode="offline"))
    logged_out.setenv("WANDB_API_KEY", "secret")
    with pytest.raises(ConfigError, match="WANDB_API_KEY invalid") as raised:
        check_login(online)
    assert "secret" not in str(raised.value)
    logged_out.setenv("WANDB_API_KEY", KEY)
    check_login(online)


def test_a_login_of_the_netrc_file_is_found(tmp_path: Path, logged_out: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1:9\n  login user\n  password {KEY}\n")
    (tmp_path / ".netrc").chmod(0o600)
    check_login(TrackingConfig(mode="online"))
