"""The line that shows how far a stage and its run are."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.control import progress_display
from pipeline.control.frozen_stages import write_frozen
from pipeline.control.progress_display import ProgressDisplay, clock
from pipeline.control.run_time import RunTime
from pipeline.core.artifact import PARTIAL, Manifest, publish
from pipeline.core.progress import Progress, read_progress
from tests.runs import frozen_stage


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time stands still: half a second between the writing of a file and the look at it is another time left."""
    monkeypatch.setattr(progress_display.time, "time", lambda: 1_800_000_000.0)


class Terminal(io.StringIO):
    """A standard error stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def written(tmp_path: Path, seconds: float, done: int, **start: Any) -> dict[str, Any]:
    """The progress file of a stage that has done `done` of a part in as many seconds, until now."""
    now = [progress_display.time.time() - seconds]
    progress = Progress(tmp_path / "progress.json", clock=lambda: now[0])
    progress.start(**start)
    progress.note(loss=4.7123)
    now[0] += seconds
    progress.update(done)
    found = read_progress(tmp_path / "progress.json")
    assert found is not None
    return found


def shown(
    monkeypatch: pytest.MonkeyPatch, columns: int, progress: dict[str, Any] | None, name: str = "phase1", **display: Any
) -> str:
    """The last line that a terminal shows."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    line = ProgressDisplay(name, "5/26", **display)
    line.show(progress)
    line.show(progress)
    text = terminal.getvalue().split("\r")[-1]
    line.close()
    assert len(text) <= columns
    return text


def test_a_terminal_shows_place_rate_loss_and_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = written(tmp_path, seconds=10, done=40, total=120, counted="steps")
    line = shown(monkeypatch, 80, progress, after=lambda: (100.0, True))
    assert line.startswith("[5/26] phase1 ")
    assert line.endswith("40/120 steps  4/s  loss=4.712  0:20 left  run 2:00")


def test_what_is_not_known_is_a_question_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = written(tmp_path, seconds=10, done=0, total=120, counted="steps")
    assert shown(monkeypatch, 80, progress, after=lambda: (0.0, False)).endswith(
        "0/120 steps  ?/s  loss=4.712  ? left  run ?"
    )
    some = written(tmp_path, seconds=30, done=10, total=20, counted="steps")
    assert shown(monkeypatch, 80, some, after=lambda: (60.0, False)).endswith(
        "3 s each  loss=4.712  0:30 left  run >1:30"
    )


def test_what_comes_before_the_first_step_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, 80, None).rstrip() == "[5/26] phase1 starting"
    progress = written(tmp_path, seconds=12, done=0, total=None, counted="", label="building {the} model")
    assert shown(monkeypatch, 80, progress).rstrip() == "[5/26] phase1 building {the} model  0:12 so far  run ?"


@pytest.mark.parametrize("columns", [60, 80, 132])
def test_a_line_fits_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """The times stay, whatever is left out."""
    progress = written(tmp_path, seconds=90000, done=10_000, total=250_000, counted="prompts", label="verified answers")
    line = shown(monkeypatch, columns, progress, "evaluate_rl_multi_domain"[: columns - 52], after=lambda: (1e6, False))
    assert line.endswith("25d 0h left  run >36d 13h")


def test_without_a_terminal_lines_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = written(tmp_path, seconds=10, done=40, total=120, counted="steps", label="training")
    display = ProgressDisplay("phase1", "5/26")
    display.show(progress)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress_display, "PLAIN_SECONDS", 0.0)
    display.show(progress)
    display.close()
    said = "fivephase: [5/26] phase1: training  40/120 steps  4/s  loss=4.712  0:20 left  run 0:20\n"
    assert capsys.readouterr().err == said


def test_what_is_said_stands_on_a_line_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    display = ProgressDisplay("phase1")
    display.show(written(tmp_path, seconds=10, done=40, total=120, counted="steps"))
    display.say("saving")
    display.close()
    before = terminal.getvalue().split("saving\n")[0].split("\r")
    assert before[-2].strip() == ""
    assert before[-1] == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (61, "1:01"), (3600, "1:00:00"), (90000, "25:00:00"), (1e6, "11d 13h")]
)
def test_times(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_time_of_a_run_comes_from_stages_alike_and_from_runs_beside_it(tmp_path: Path) -> None:
    stages = [frozen_stage(name, "a", kind=kind) for name, kind in (("one", "rl"), ("two", "rl"), ("last", "release"))]
    time = RunTime(stages, stages, tmp_path)
    assert time.after("one") == (0.0, False)
    made = Manifest(stage="one", kind="rl", fingerprint="a", inputs={}, files={}, seconds=30.0)
    time.finished(made)
    assert time.of("two") == 30.0
    assert time.after("one") == (30.0, False)
    beside = stages[2].directory(tmp_path).parent.parent / "other" / "last"
    (beside / PARTIAL).mkdir(parents=True)
    write_frozen(beside, stages[2])
    publish(beside, Manifest(stage="last", kind="release", fingerprint="b", inputs={}, files={}, seconds=5.0))
    again = RunTime(stages, stages, tmp_path)
    again.finished(made)
    assert again.after("one") == (35.0, True)
    assert again.after("last") == (0.0, True)
