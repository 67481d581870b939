"""When a checkpoint is due, and what the progress file says of steps and saves."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.core import context as context_module
from pipeline.core.context import StageContext
from pipeline.core.progress import Progress, read_progress
from pipeline.core.saving import SaveTimer, SavingConfig
from tests.settings import stage_config


@pytest.mark.parametrize("scale", ["smoke", "granite_4_1_8b"])
@pytest.mark.parametrize("stage", ["phase1", "phase5_512k", "sft", "reward_model", "rl_math"])
def test_every_stage_that_trains_saves_by_minutes(stage: str, scale: str) -> None:
    settings = stage_config(stage, scale)
    assert (settings.save_every_minutes, settings.save_every_steps) == (15.0, None)


def test_minutes_count_from_the_last_save() -> None:
    now = [1000.0]
    timer = SaveTimer(SavingConfig(save_every_minutes=2.0), clock=lambda: now[0])
    now[0] += 119
    assert not timer.is_due(1)
    now[0] += 1
    assert timer.is_due(2)
    timer.saved()
    assert not timer.is_due(3)
    now[0] += 120
    assert timer.is_due(4)


def test_steps_are_a_rule_beside_minutes() -> None:
    now = [0.0]
    timer = SaveTimer(SavingConfig(save_every_minutes=2.0, save_every_steps=3), clock=lambda: now[0])
    assert [timer.is_due(step) for step in range(1, 7)] == [False, False, True, False, False, True]
    now[0] = 120.0
    assert timer.is_due(7)
    never = SaveTimer(SavingConfig(save_every_minutes=None), clock=lambda: now[0])
    now[0] = 1e9
    assert not never.is_due(7)


def test_the_longest_step_and_save_are_in_the_progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of its own: on a busy machine any step may take seconds."""
    now = [1000.0]
    monkeypatch.setattr(context_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    context = StageContext.for_test("phase", None, {}, tmp_path)
    path = tmp_path / "progress.json"
    context.progress = Progress(path)

    def step(seconds: float) -> None:
        now[0] += seconds
        context.stop_requested()

    step(3)  # what comes before the first step is none
    step(0.25)
    step(0.5)
    with context.saving():
        now[0] += 0.75
    step(0.25)
    with context.no_step():
        now[0] += 3
    step(0.25)
    step(0.25)
    found = read_progress(path)
    assert found is not None
    longest = found["longest_step_seconds"], found["longest_save_seconds"]
    assert longest == (0.5, 0.75)
    context.progress.start(5, "steps")
    again = read_progress(path)
    assert again is not None
    assert (again["longest_step_seconds"], again["longest_save_seconds"]) == longest
