"""A phase as real worker processes: it learns, hands over, and survives being stopped."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GraniteForCausalLM

from pipeline.core.artifact import load
from pipeline.core.errors import EXIT_DONE, EXIT_REQUEUE, EXIT_USER_ERROR
from pipeline.core.files import read_json, sha256_of
from pipeline.core.ports import free_port
from pipeline.core.verified_folder import newest_verified_step
from pipeline.pretraining.engine.logits_check import reference_tokens
from tests.runs import (
    PHASE_INPUTS,
    VOCABULARY,
    freeze,
    outcome,
    phase_settings,
    start_worker,
    wait_until,
    write_phase_inputs,
)

WEIGHTS = "checkpoint/model.safetensors"
STATE = "training_state/state.safetensors"
STEPS = 200
"""Of phases that are stopped: seconds of work, so that none ends before a signal reaches it."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    write_phase_inputs(directory)
    return directory


def test_a_phase_learns_and_the_next_continues_it(run: Path) -> None:
    first = freeze(run, "phase1", "pretrain", phase_settings(), PHASE_INPUTS)
    code, said = outcome(first)
    assert code == EXIT_DONE, said
    manifest = load(first).manifest
    assert manifest.after is not None
    assert manifest.before is not None
    assert manifest.after < 0.7 * manifest.before
    model: Any = GraniteForCausalLM.from_pretrained(first / "checkpoint")
    answer = model.generate(torch.tensor([[3, 4, 5, 6, 7, 8]]), max_new_tokens=3, do_sample=False)
    assert answer[0, 6:].tolist() == [9, 10, 11]
    # The exported model gives the logits that the engine gave.
    tokens, ids = reference_tokens(VOCABULARY)
    stored = torch.tensor(read_json(first / "training_state/progress.json")["logits"])
    torch.testing.assert_close(model(tokens).logits[0, -1, ids], stored)

    # Twice the context, another ZeRO stage, weights averaged with those before.
    longer = phase_settings(
        context=32, sequences_per_rank=2, rope_theta=50_000.0, merge={"weights": [0.5, 1.0]},
        deepspeed={"zero_optimization": {"stage": 3}},
    )  # fmt: skip
    second = freeze(run, "phase2", "pretrain", longer, {**PHASE_INPUTS, "model": "phase1"})
    code, said = outcome(second)
    assert code == EXIT_DONE, said
    before, after = (read_json(each / "training_state/progress.json") for each in (first, second))
    assert after["adam_step"] == before["adam_step"] + 30
    assert after["tokens"] == 2 * before["tokens"]
    metrics = load(second).manifest.metrics
    assert metrics["loss/start/near"] == pytest.approx(load(first).manifest.metrics["loss/end/near"], rel=0.1)
    assert metrics["loss/end/far"] < metrics["loss/start/far"]
    merged = read_json(second / "merge.json")
    assert [(each["method"], each["weight"]) for each in merged["tried"]] == [
        ("average", 0.5), ("slerp", 0.5), ("average", 1.0)
    ]  # fmt: skip
    assert metrics["loss/end/near"] == pytest.approx(merged["chosen"]["short"])
    assert metrics["loss/end/far"] == pytest.approx(merged["chosen"]["long"])


@pytest.mark.slow
def test_experts_learn_and_go_on(run: Path) -> None:
    experts = {**phase_settings()["model"], "experts": 4, "experts_per_token": 2, "router_loss": 0.01}
    first = freeze(run, "phase1", "pretrain", phase_settings(model=experts), PHASE_INPUTS)
    code, said = outcome(first)
    assert code == EXIT_DONE, said
    model: Any = AutoModelForCausalLM.from_pretrained(first / "checkpoint")
    assert type(model).__name__ == "GraniteMoeForCausalLM"
    answer = model.generate(torch.tensor([[3, 4, 5, 6, 7, 8]]), max_new_tokens=3, do_sample=False)
    assert answer[0, 6:].tolist() == [9, 10, 11]
    longer = phase_settings(model=experts, context=32, deepspeed={"zero_optimization": {"stage": 3}})
    second = freeze(run, "phase2", "pretrain", longer, {**PHASE_INPUTS, "model": "phase1"})
    code, said = outcome(second)
    assert code == EXIT_DONE, said
    metrics = load(second).manifest.metrics
    assert metrics["loss/end/far"] < metrics["loss/start/far"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_or_stopped_it_ends_with_the_same_bytes(run: Path) -> None:
    """kill -9 after a checkpoint, a damaged newest checkpoint, then a stop signal: as if nothing had been."""
    config = phase_settings(tokens=STEPS * 8 * 16)
    reference = freeze(run, "reference", "pretrain", config, PHASE_INPUTS)
    code, said = outcome(reference)
    assert code == EXIT_DONE, said

    stage = freeze(run / "again", "reference", "pretrain", config, PHASE_INPUTS)
    for name in ("tokens", "tokenizer"):
        (run / "again" / name).symlink_to(run / name)
    steps = stage / "state" / "steps"

    worker = start_worker(stage)
    wait_until(lambda: last(steps) >= 20, worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert worker.returncode == -signal.SIGKILL
    newest = newest_verified_step(steps)
    assert newest is not None
    largest = max((newest / "state").iterdir(), key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        file.truncate(100)
    # The one before may still be there, if the kill came before it was removed.
    assert newest_verified_step(steps) != newest

    worker = start_worker(stage)
    wait_until(lambda: last(steps) > int(newest.name), worker)
    worker.send_signal(signal.SIGUSR1)
    worker.communicate(timeout=300)
    assert worker.returncode == EXIT_REQUEUE
    stopped_at = newest_verified_step(steps)
    assert stopped_at is not None
    assert int(newest.name) < int(stopped_at.name) < STEPS

    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    for name in (WEIGHTS, STATE):
        assert sha256_of(stage / name) == sha256_of(reference / name), name


def last(steps: Path) -> int:
    """The last step of which there is a checkpoint, good or damaged, or 0."""
    return max((int(path.name) for path in steps.glob("[0-9]*")), default=0)


def start_ranks(directory: Path, ranks: int) -> list[subprocess.Popen[bytes]]:
    """A worker for each rank, as a launcher starts them."""
    port = str(free_port())
    return [
        start_worker(
            directory, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_WORLD_SIZE=str(ranks),
            MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
        )
        for rank in range(ranks)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ranks", [1, 2])
def test_twenty_kills_leave_no_trace(run: Path, ranks: int) -> None:
    """kill -9 at random moments, often while a checkpoint is written: the same bits as without."""
    config = phase_settings(tokens=STEPS * 8 * 16, save_every_steps=1, keep_checkpoints=2)
    reference = freeze(run, "reference", "pretrain", config, PHASE_INPUTS)
    for worker in start_ranks(reference, ranks):
        said = worker.communicate(timeout=300)[1].decode()
        assert worker.returncode == EXIT_DONE, said
    stage = freeze(run / "again", "reference", "pretrain", config, PHASE_INPUTS)
    for name in ("tokens", "tokenizer"):
        (run / "again" / name).symlink_to(run / name)
    steps, kill_times = stage / "state" / "steps", random.Random(5)
    reached = 0
    for _ in range(20):
        workers = start_ranks(stage, ranks)
        wait_until(lambda least=reached: last(steps) > least, workers[0])
        began = time.monotonic()
        wait_until(lambda least=reached: last(steps) > least + 2, workers[0])
        # Somewhere within a step and the saving of it, however long these take on this machine.
        time.sleep(kill_times.uniform(0, (time.monotonic() - began) / 2))
        first, *others = kill_times.sample(workers, ranks)
        os.killpg(first.pid, signal.SIGKILL)
        for other in others:
            os.killpg(other.pid, signal.SIGKILL)
            other.communicate()
        first.communicate()
        assert first.returncode == -signal.SIGKILL
        newest = newest_verified_step(steps)
        assert newest is not None
        assert int(newest.name) > reached
        reached = int(newest.name)
    assert reached < STEPS
    for worker in start_ranks(stage, ranks):
        said = worker.communicate(timeout=300)[1].decode()
        assert worker.returncode == EXIT_DONE, said
    for name in (WEIGHTS, STATE):
        assert sha256_of(stage / name) == sha256_of(reference / name), name


def test_what_cannot_work_is_rejected_before_the_first_step(run: Path) -> None:
    cases = {
        r"mixture.books: no tokens of this domain": phase_settings(mixture={"books": 1}),
        r"mixture.code: needs": phase_settings(max_epochs=0.5),
        r"the tokens have 64 ids, model.vocab_size is 128": phase_settings(
            model={**phase_settings()["model"], "vocab_size": 128}
        ),
    }
    without_zero = {"zero_optimization": {"stage": 0}}
    cases["with ZeRO only: set deepspeed.zero_optimization.stage to 1, 2 or 3"] = phase_settings(
        precision="bf16", deepspeed=without_zero
    )
    for number, (message, config) in enumerate(cases.items()):
        code, said = outcome(freeze(run, f"bad{number}", "pretrain", config, PHASE_INPUTS))
        assert code == EXIT_USER_ERROR
        assert message in said.splitlines()[-1]
        assert not (run / f"bad{number}" / "manifest.json").exists()


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("saves", [True, False])
def test_a_full_disk_is_one_line_and_leaves_no_half_checkpoint(run: Path, saves: bool) -> None:
    """In a step checkpoint, which torch writes, and in what is handed on, which safetensors writes."""
    config = phase_settings(save_every_steps=10 if saves else None)
    stage = freeze(run, "phase1", "pretrain", config, PHASE_INPUTS)
    worker = start_worker(stage)
    # No file may be larger than this: what a full disk or a quota says as well.
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_USER_ERROR, said
    folder = stage / "state/steps/.10" if saves else stage / "partial"
    assert f"{folder}: no room to write it" in said.splitlines()[-1]
    assert "free some" in said.splitlines()[-1]
    assert not folder.exists()
    assert not (stage / "manifest.json").exists()
    code, said = outcome(stage)
    assert code == EXIT_DONE, said


def test_a_changed_input_is_rejected(run: Path) -> None:
    shard = run / "tokens" / "tokens" / "code" / "train.ds"
    content = bytearray(shard.read_bytes())
    content[0] ^= 1
    shard.write_bytes(content)
    code, said = outcome(freeze(run, "phase1", "pretrain", phase_settings(), PHASE_INPUTS))
    assert code == EXIT_USER_ERROR
    assert "train.ds: its content changed since it was made" in said.splitlines()[-1]


def test_a_phase_without_tracking_needs_neither_wandb_nor_datatrove(run: Path) -> None:
    """They are heavy, and a machine that only trains may not have them."""
    phase = freeze(run, "phase1", "pretrain", phase_settings(tokens=2 * 8 * 16), PHASE_INPUTS)
    missing = "import sys; sys.modules.update(wandb=None, datatrove=None); from pipeline.worker import main"
    command = [sys.executable, "-c", f"{missing}; sys.exit(main([{str(phase)!r}]))"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert load(phase).manifest.tokens == 2 * 8 * 16
