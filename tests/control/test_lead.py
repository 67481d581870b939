"""How long before its end a job is told to save."""

import json
import math
from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import FrozenStage, freeze
from pipeline.control.lead import lead_seconds, time_seconds
from pipeline.core.errors import ConfigError


@pytest.fixture(scope="module")
def phase() -> FrozenStage:
    return next(stage for stage in freeze(typed(compose(["scale=smoke"]))) if stage.stage == "phase1")


def measure(directory: Path, attempt: int, content: object) -> None:
    folder = directory / "attempts" / str(attempt)
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_what_attempts_measured_decides(phase: FrozenStage, tmp_path: Path) -> None:
    """60 s and twice the step and the save of the newest attempts that have one: 60 + 2 × (100 + 200)."""
    measure(tmp_path, 1, {"longest_step_seconds": 5.0, "longest_save_seconds": 200.0, "note": {"loss": 2.0}})
    measure(tmp_path, 2, {"note": {"longest_step_seconds": 100.0}})
    measure(tmp_path, 3, "")
    assert lead_seconds(phase, tmp_path) == 660
    assert lead_seconds(phase, tmp_path, limit=1320) == 660
    with pytest.raises(ConfigError, match=r"stages\.phase1\.resources\.time=.* 660 s before its end; set 22 minutes"):
        lead_seconds(phase, tmp_path, limit=1319)


def test_an_attempt_that_was_held_up_counts_until_the_next_has_measured(phase: FrozenStage, tmp_path: Path) -> None:
    """A process that slept for six hours must not refuse every later job of a day."""
    measure(tmp_path, 1, {"longest_step_seconds": 22_000.0, "longest_save_seconds": 20_000.0})
    with pytest.raises(ConfigError, match="a step took 22000 s and a save 20000 s"):
        lead_seconds(phase, tmp_path, limit=86_400)
    measure(tmp_path, 2, {"longest_step_seconds": 10.0, "longest_save_seconds": 20.0})
    assert lead_seconds(phase, tmp_path, limit=86_400) == 120


def test_without_a_save_the_stated_time_counts(phase: FrozenStage, tmp_path: Path) -> None:
    assert lead_seconds(phase, tmp_path) == 600
    assert lead_seconds(phase, tmp_path, limit=7200) == 600
    assert lead_seconds(phase, tmp_path, limit=600) == 150
    measure(tmp_path, 1, {"longest_step_seconds": 30.0})
    assert lead_seconds(phase, tmp_path) == 600
    measure(tmp_path, 2, {"longest_step_seconds": 400.0})
    assert lead_seconds(phase, tmp_path) == 860


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("24:00:00", 86_400),
        ("2-12", 216_000),
        ("2-12:30", 217_800),
        ("7-00:00:00", 604_800),
        ("7-00:00:05", 604_805),
        ("infinite", math.inf),
        ("0", math.inf),
        ("00:00:00", math.inf),
    ],
)
def test_times_are_those_of_slurm(time: str, seconds: float) -> None:
    assert time_seconds(time) == seconds


@pytest.mark.parametrize("time", ["", "1 day", "1:2:3:4", "-1:00", "1d"])
def test_what_is_no_time_is_refused(time: str) -> None:
    with pytest.raises(ValueError, match="HH:MM:SS"):
        time_seconds(time)
