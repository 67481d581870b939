"""What is logged over several attempts becomes one row for each step, and what they cost is summed."""

import json
import os
import signal
from pathlib import Path

from pipeline.core.context import ATTEMPT_VARIABLE
from pipeline.core.errors import EXIT_DONE
from pipeline.core.files import read_json, write_json
from pipeline.core.history import HISTORY, USAGE, Usage, merged_attempts, read_history, read_usage, write_history
from tests import ROOT
from tests.runs import PHASE_INPUTS, freeze, outcome, phase_settings, start_worker, write_phase_inputs

STEP_TOKENS = 8 * 16


def log(stage: Path, attempt: int, rows: list[dict[str, float]]) -> None:
    folder = stage / "attempts" / str(attempt)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def trained(first: int, last: int, loss: float, base: int = 0) -> list[dict[str, float]]:
    """Rows of every second step of 100 tokens."""
    steps = range(first, last + 1, 2)
    return [{"step": step, "tokens": base + 100 * step, "train/loss": loss} for step in steps]


def test_a_resumed_attempt_replaces_the_rows_after_its_checkpoint(tmp_path: Path) -> None:
    log(tmp_path, 1, trained(2, 10, loss=1.0))
    log(tmp_path, 2, [])
    log(tmp_path, 10, trained(6, 12, loss=2.0))
    steps, repeated = merged_attempts(tmp_path)
    assert [(each.step, each.attempt, each.metrics["train/loss"]) for each in steps] == [
        (2, 1, 1.0), (4, 1, 1.0), (6, 10, 2.0), (8, 10, 2.0), (10, 10, 2.0), (12, 10, 2.0),
    ]  # fmt: skip
    # Steps 5 to 10 were trained twice.
    assert repeated == 600


def test_an_attempt_that_began_anew_repeats_all_of_it(tmp_path: Path) -> None:
    """Tokens count those of phases before, which were not repeated."""
    log(tmp_path, 1, trained(2, 6, loss=1.0, base=5_000))
    log(tmp_path, 2, trained(2, 8, loss=2.0, base=5_000))
    steps, repeated = merged_attempts(tmp_path)
    assert {each.attempt for each in steps} == {2}
    assert repeated == 600


def test_what_is_measured_after_the_last_step_by_another_attempt_is_in_its_row(tmp_path: Path) -> None:
    """Ended after its last checkpoint: the second attempt trains on nothing, and logs what it measures."""
    log(tmp_path, 1, trained(2, 4, loss=1.0))
    log(tmp_path, 2, [{"step": 4, "tokens": 400, "held_out/mean": 2.0}])
    steps, repeated = merged_attempts(tmp_path)
    assert [each.metrics for each in steps] == [{"train/loss": 1.0}, {"train/loss": 1.0, "held_out/mean": 2.0}]
    assert repeated == 0


def test_rows_of_one_step_are_put_together_and_damaged_ones_left_out(tmp_path: Path) -> None:
    log(tmp_path, 1, [{"step": 1, "tokens": 7, "train/loss": 1.0}, {"step": 1, "tokens": 7, "held_out/mean": 2.0}])
    with (tmp_path / "attempts" / "1" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "tokens": 9, "train/loss": NaN, "train/kl": 0.5}\n[1]\n{"step": 3, "tok')
    first, second = merged_attempts(tmp_path)[0]
    assert first.metrics == {"train/loss": 1.0, "held_out/mean": 2.0}
    assert (second.step, second.metrics) == (2, {"train/kl": 0.5})


def test_rows_of_an_older_version_come_by_their_tokens(tmp_path: Path) -> None:
    log(tmp_path, 1, [{"tokens": 100, "train/loss": 3.0}, {"tokens": 200, "train/loss": 2.0}])
    assert [(each.step, each.tokens) for each in read_history(tmp_path)] == [(100, 100), (200, 200)]


def test_energy_is_known_if_every_attempt_knows_it(tmp_path: Path) -> None:
    for attempt, joules in ((1, 5.0), (2, 7.0)):
        measured = {"seconds": 2.0, "processor_joules": joules, "hardware": "1 x CPU", "nodes": 2}
        write_json(tmp_path / "attempts" / str(attempt) / USAGE, measured)
    expected = Usage(attempts=2, seconds=4.0, processor_joules=12.0, hardware=["1 x CPU"], nodes=2)
    assert read_usage(tmp_path) == expected
    write_json(tmp_path / "attempts" / "3" / USAGE, {"seconds": 1.0, "processor_joules": None})
    assert read_usage(tmp_path).processor_joules is None


def test_what_is_written_is_read_again_and_damage_is_looked_past(tmp_path: Path) -> None:
    log(tmp_path, 1, trained(2, 6, loss=1.0))
    write_history(tmp_path)
    steps = read_history(tmp_path)
    assert [each.step for each in steps] == [2, 4, 6]
    (tmp_path / HISTORY).write_text("{")
    (tmp_path / USAGE).write_text("[]")
    assert read_history(tmp_path) == steps
    assert read_usage(tmp_path) == Usage()


KILLED_AT_A_ROW = """
import os, signal, sys

rows = 0


def hook(event, arguments):
    global rows
    if event == "open" and arguments[1] == "a" and os.fspath(arguments[0]).endswith("/metrics.jsonl"):
        rows += 1
        if rows == 13:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(hook)
"""
"""A sitecustomize.py: kill -9 where the thirteenth row would be written, of step 26. Six steps take less time than a
busy machine may leave between two looks of a process that waits for the twelfth, and a checkpoint comes after four."""


def test_a_killed_phase_has_each_logged_step_once(tmp_path: Path) -> None:
    """Without any tracking: the history needs none. The metrics of an attempt say where it was killed."""
    write_phase_inputs(tmp_path)
    settings = phase_settings(tokens=40 * STEP_TOKENS, log_every_steps=2, save_every_steps=10)
    stage = freeze(tmp_path, "phase1", "pretrain", settings, PHASE_INPUTS)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(KILLED_AT_A_ROW)
    path = os.pathsep.join([str(tmp_path / "hook"), os.environ.get("PYTHONPATH", str(ROOT))])
    worker = start_worker(stage, **{ATTEMPT_VARIABLE: "1", "PYTHONPATH": path})
    said = worker.communicate(timeout=280)[1].decode()
    assert worker.returncode == -signal.SIGKILL, said
    code, said = outcome(stage)
    assert code == EXIT_DONE, said

    steps = read_history(stage)
    assert [each.step for each in steps] == list(range(2, 41, 2))
    assert [each.tokens for each in steps] == [each.step * STEP_TOKENS for each in steps]
    assert [each.attempt for each in steps] == sorted(each.attempt for each in steps)
    assert {each.attempt for each in steps} == {1, 2}
    assert steps[0].metrics["train/loss"] > steps[-1].metrics["train/loss"]
    usage = read_usage(stage)
    assert usage.attempts == 2
    assert usage.seconds > read_json(stage / "manifest.json")["seconds"]
    assert usage.repeated_tokens > 0
    assert usage.hardware
    # How it went is none of the artifact's files, which are the same bytes in every run.
    assert not {HISTORY, USAGE} & set(read_json(stage / "manifest.json")["files"])
    assert not list(stage.glob(".*"))
