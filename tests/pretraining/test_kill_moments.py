"""kill -9 at chosen moments of a phase on two ranks: each one at which rank 0 writes, renames or removes a file."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pipeline.core.artifact import PUBLISHING, load
from pipeline.core.errors import EXIT_DONE
from pipeline.core.files import files_below
from pipeline.core.history import HISTORY, USAGE
from pipeline.core.ports import free_port
from tests.runs import PHASE_INPUTS, freeze, outcome, phase_settings, start_worker, write_phase_inputs

KILLS = 30
HOOK = """
import os, re, signal, sys

STAGE, MOMENT, RECORD = (os.environ.get(f"KILL_{name}", "") for name in ("STAGE", "MOMENT", "RECORD"))
CHANGES = {"os.rename", "os.remove", "os.mkdir", "shutil.rmtree"}


def hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if not isinstance(path, str | bytes | os.PathLike) or not flags & (os.O_WRONLY | os.O_RDWR):
            return
    elif event not in CHANGES:
        return
    path = os.path.join(os.getcwd(), os.fsdecode(arguments[0]))
    if not path.startswith(STAGE + "/") or path.startswith(STAGE + "/attempts"):
        return
    moment = f"{event} {re.sub('[0-9]{3,}', 'N', path.removeprefix(STAGE))}"
    if RECORD:
        descriptor = os.open(RECORD, os.O_APPEND | os.O_CREAT | os.O_RDWR)
        os.write(descriptor, f"{moment}\\n".encode())
        os.close(descriptor)
    if moment == MOMENT:
        os.kill(os.getpid(), signal.SIGKILL)


if STAGE and os.environ.get("RANK") == "0":
    sys.addaudithook(hook)
"""
"""A sitecustomize.py, which Python imports before anything else: moments are events of Python's own audit."""


def start_ranks(stage: Path, **environment: str) -> list[subprocess.Popen[bytes]]:
    port = str(free_port())
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [start_worker(stage, **common, **environment, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in (0, 1)]


def finish(ranks: list[subprocess.Popen[bytes]]) -> None:
    for rank in ranks:
        said = rank.communicate(timeout=300)[1].decode()
        assert rank.returncode == EXIT_DONE, said


def phase_after_another(run: Path) -> Path:
    """A phase that goes on from another and ends with a merge, ready to run."""
    write_phase_inputs(run)
    settings = phase_settings(tokens=20 * 8 * 16, save_every_steps=10)
    before = freeze(run, "phase1", "pretrain", settings, PHASE_INPUTS)
    code, said = outcome(before)
    assert code == EXIT_DONE, said
    inputs = {**PHASE_INPUTS, "model": "phase1"}
    return freeze(run, "phase2", "pretrain", {**settings, "merge": {"weights": [0.5]}}, inputs)


def chosen(moments: list[str]) -> list[str]:
    """All moments after the last step, and of those before as many, evenly, as make KILLS."""
    unique = list(dict.fromkeys(moments))
    last_step = max(at for at, moment in enumerate(unique) if "/state/steps" in moment)
    steps, end = unique[: last_step + 1], unique[last_step + 1 :]
    wanted = KILLS - len(end)
    assert 0 < wanted <= len(steps), (wanted, unique)
    return [steps[at * len(steps) // wanted] for at in range(wanted)] + end


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_thirty_kills_at_chosen_moments_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step checkpoints, hand-over, merge, publishing: two ranks end with the bytes that they end with undisturbed."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hook'}:{os.environ.get('PYTHONPATH', os.getcwd())}")
    reference, record = phase_after_another(tmp_path / "reference"), tmp_path / "moments"
    finish(start_ranks(reference, KILL_STAGE=str(reference), KILL_RECORD=str(record)))
    moments = chosen(record.read_text().splitlines())
    assert any(PUBLISHING in moment for moment in moments)

    stage = phase_after_another(tmp_path / "again")
    for moment in moments:
        first, second = start_ranks(stage, KILL_STAGE=str(stage), KILL_MOMENT=moment)
        said = first.communicate(timeout=300)[1].decode()
        # The launcher takes the others down with the one that died.
        os.killpg(second.pid, signal.SIGKILL)
        second.communicate()
        assert first.returncode == -signal.SIGKILL, f"{moment}: {said}"
    finish(start_ranks(stage))

    expected, found = (load(each).manifest.files for each in (reference, stage))
    # The throughput of a phase is measured, and is in no file.
    assert found == expected
    kept = {path.relative_to(stage).parts[0] for path in files_below(stage)}
    records = {"attempts", "config.json", "manifest.json", HISTORY, USAGE}
    assert kept == {*records, *(name.split("/")[0] for name in found)}
