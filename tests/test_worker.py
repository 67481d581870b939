"""A worker process: what ends it, and how it says so."""

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.control.frozen_stages import FROZEN
from pipeline.core.artifact import MANIFEST, PARTIAL, PUBLISHING, load
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR
from pipeline.core.files import read_json, write_json
from pipeline.core.installation import code_hash
from pipeline.core.lock import lock_path, read_owner
from pipeline.stages import STAGE_TYPES
from tests.runs import (
    PHASE_INPUTS,
    finished,
    freeze,
    outcome,
    phase_settings,
    start_worker,
    wait_until,
    write_counting_tokens,
    write_phase_inputs,
)
from tests.settings import stage_settings


def stage_of(tmp_path: Path, **changes: Any) -> Path:
    run = tmp_path / "run"
    write_phase_inputs(run)
    return freeze(run, "phase1", "pretrain", phase_settings(**changes), PHASE_INPUTS)


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
        assert f"process {first.pid} on {socket.gethostname()} works on this stage" in said
    finally:
        first.kill()
        first.communicate()


def test_who_lost_the_lock_publishes_nothing(tmp_path: Path) -> None:
    """A worker that stood still for minutes, as a suspended machine does, while another one took the stage over."""
    stage = stage_of(tmp_path)
    worker = start_worker(stage)
    # It has the whole phase before it: a later moment could come when it has published.
    wait_until(lambda: (stage / "attempts" / "1" / "progress.json").exists(), worker)
    owner = read_owner(lock_path(stage))
    assert owner is not None
    write_json(lock_path(stage), {**dataclasses.asdict(owner), "token": "another", "host": "node7"})
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_USER_ERROR, said
    assert f"lost to process {worker.pid} on node7" in said.splitlines()[-1]
    assert not (stage / MANIFEST).exists()
    assert not (stage / PUBLISHING).exists()


def test_a_stage_frozen_anew_since_the_launch_is_refused(tmp_path: Path) -> None:
    """Another run with other settings, between the launch of this one and its start, has the folder now."""
    stage = stage_of(tmp_path)
    worker = start_worker(stage, FIVEPHASE_FINGERPRINT="0" * 64)
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_USER_ERROR
    assert "frozen with another configuration since this was launched" in said.splitlines()[-1]


def test_an_edited_configuration_is_refused(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    frozen = read_json(stage / FROZEN)
    frozen["config"]["context"] = 8
    write_json(stage / FROZEN, frozen)
    code, said = outcome(stage)
    assert code == EXIT_USER_ERROR
    assert "config.json: edited since it was frozen; run `fivephase plan --freeze`" in said.splitlines()[-1]


def test_changed_code_is_noticed(tmp_path: Path) -> None:
    """Of the same version it is noted, of another one it is refused."""
    run = tmp_path / "run"
    write_phase_inputs(run)
    settings, version = phase_settings(tokens=8 * 16), STAGE_TYPES["pretrain"].version
    same = freeze(run, "phase1", "pretrain", settings, PHASE_INPUTS, version=version, code="0" * 64)
    code, said = outcome(same)
    assert code == EXIT_DONE
    assert "phase1: the code changed since this stage was frozen" in said
    assert load(same).manifest.code == code_hash()
    other = freeze(run, "phase2", "pretrain", settings, PHASE_INPUTS, version=99)
    code, said = outcome(other)
    assert code == EXIT_USER_ERROR
    assert "frozen for version 99 of pretrain, this code has version" in said.splitlines()[-1]


def replace_tokens(stage: Path) -> None:
    """Puts others in the place of the tokens that a stage reads, shards and manifest alike: all hashes are right."""
    shutil.rmtree(stage.parent / "tokens")
    finished(stage.parent, "tokens", lambda partial: write_counting_tokens(partial, step=5))


def test_inputs_replaced_between_two_attempts_are_refused(tmp_path: Path) -> None:
    # Far longer than it trains, so that no kill comes after its end.
    stage = stage_of(tmp_path, tokens=20_000 * 8 * 16, max_epochs=100_000)
    worker = start_worker(stage)
    wait_until(lambda: (stage / "state" / "steps" / "10").exists(), worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    replace_tokens(stage)
    code, said = outcome(stage)
    assert code == EXIT_USER_ERROR
    assert "its unfinished state was made from other files of tokens" in said.splitlines()[-1]


def test_a_finished_stage_knows_the_files_that_it_was_made_from(tmp_path: Path) -> None:
    """They are those that this very worker read, whatever fingerprint others have."""
    stage = stage_of(tmp_path)
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    assert outcome(stage)[0] == EXIT_DONE
    replace_tokens(stage)
    code, said = outcome(stage)
    assert code == EXIT_USER_ERROR
    assert "made from other files of tokens than there are now" in said.splitlines()[-1]


def test_what_a_killed_attempt_put_out_is_not_published(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    left = [stage / PARTIAL / "training_state" / ".progress.json.17", stage / PARTIAL / "merge.json"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    assert {name.split("/")[0] for name in load(stage).manifest.files} == {"checkpoint", "training_state"}
    assert not any("progress.json.17" in name for name in load(stage).manifest.files)


def test_a_kind_that_saves_nothing_says_so(tmp_path: Path) -> None:
    """Also in a batch job, whose log this is. Here there is no document to learn merges from."""
    finished(tmp_path, "curate", lambda partial: write_json(partial / "report.json", {}))
    stage = freeze(tmp_path, "tokenizer", "tokenizer", stage_settings("tokenizer"), {"corpus": "curate"})
    command = [sys.executable, "-m", "pipeline.worker", str(stage)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == EXIT_USER_ERROR, ended.stderr
    assert "tokenizer saves nothing in between: it may be ended at any moment, and begins anew" in ended.stdout


@pytest.mark.parametrize("renamed", [False, True])
def test_two_ranks_complete_a_publishing_that_was_killed(tmp_path: Path, renamed: bool) -> None:
    """In a run that may have been renamed meanwhile. The second rank must not wait for the first to train."""
    stage = stage_of(tmp_path)
    assert outcome(stage)[0] == EXIT_DONE
    whole = load(stage).manifest
    (stage / MANIFEST).rename(stage / PUBLISHING)
    (stage / PARTIAL).mkdir()
    (stage / "training_state").rename(stage / PARTIAL / "training_state")
    if renamed:
        stage = stage.parent.rename(tmp_path / "renamed") / stage.name
    ranks = [start_worker(stage, RANK=str(rank), WORLD_SIZE="2", FIVEPHASE_ATTEMPT="2") for rank in (1, 0)]
    assert [rank.wait(240) for rank in ranks] == [EXIT_DONE, EXIT_DONE]
    assert load(stage).manifest == whole


def test_a_folder_that_was_not_frozen_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.worker", str(tmp_path / "run" / "phase1")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == EXIT_USER_ERROR
    assert "fivephase run" in ended.stderr.splitlines()[-1]


REPORTS = """
import sys
from pipeline import worker
worker.main(sys.argv[1:])
from huggingface_hub.utils import _telemetry
# As TRL's trainers do when they are made.
_telemetry.send_telemetry("trl/SFTTrainer", library_name="trl")
_telemetry._TELEMETRY_QUEUE.join()
"""


def test_a_worker_lets_no_library_report_what_is_trained(tmp_path: Path) -> None:
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        at_home = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "NO_PROXY": "127.0.0.1"}
        switches = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK")
        environment = {name: value for name, value in os.environ.items() if name not in switches} | at_home
        command = [sys.executable, "-c", REPORTS, str(tmp_path / "run" / "phase1")]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
        hub.shutdown()
    assert asked == []
