"""Progress: rate and ETA from an injected clock."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.core.progress import Progress, read_progress


def test_rate_and_eta_count_only_this_attempt(tmp_path: Path) -> None:
    now = [100.0]
    progress = Progress(tmp_path / "progress.json", clock=lambda: now[0])
    progress.start(total=100, counted="steps", label="training", done=40)
    now[0] += 10
    progress.note(loss=2.5)
    progress.advance(20)
    found = read_progress(tmp_path / "progress.json")
    assert found is not None
    assert (found["done"], found["rate_per_second"], found["eta_seconds"]) == (60, 2.0, 20.0)
    assert (found["label"], found["note"]) == ("training", {"loss": 2.5})


def test_it_writes_at_most_twice_a_second_and_at_the_end(tmp_path: Path) -> None:
    now = [100.0]
    progress = Progress(tmp_path / "progress.json", clock=lambda: now[0])
    progress.start(total=10, counted="steps")
    progress.advance()
    found = read_progress(tmp_path / "progress.json")
    assert found is not None
    assert found["done"] == 0
    progress.update(10)
    found = read_progress(tmp_path / "progress.json")
    assert found is not None
    assert found["done"] == 10


def test_other_ranks_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    progress = Progress(None)
    progress.start(total=1, counted="steps")
    progress.advance()
    assert not list(tmp_path.iterdir())
    assert read_progress(tmp_path / "progress.json") is None


def test_threads_report_together(tmp_path: Path) -> None:
    """As those of synthesis do, each of which looks whether it is to stop."""
    progress = Progress(tmp_path / "progress.json")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda step: progress.took("step", step), range(2000)))
    found = read_progress(tmp_path / "progress.json")
    assert found is not None
    assert found["longest_step_seconds"] == 1999
