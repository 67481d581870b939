"""Which steps' completions are kept."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.posttraining.rl.completion_files import FOLDER, CompletionFiles, kept_steps


@pytest.mark.parametrize(
    ("total", "every", "count", "kept"),
    [
        (10, 1, 4, {1, 4, 7, 10}),
        (10, 1, 1, {10}),
        (10, 1, 0, set()),
        (3, 1, 16, {1, 2, 3}),
        (25, 10, 16, {10, 20, 25}),
        (711, 1, 2, {1, 711}),
    ],
)
def test_steps_are_spread_over_the_stage(total: int, every: int, count: int, kept: set[int]) -> None:
    assert kept_steps(total, every, count) == kept


def test_files_of_other_steps_go_and_the_rest_is_published(tmp_path: Path) -> None:
    folder = tmp_path / "state" / FOLDER
    folder.mkdir(parents=True)
    files = CompletionFiles(tmp_path / "state", {1, 3})
    main: Any = type("State", (), {"is_world_process_zero": True})()
    for step in range(1, 4):
        files.on_log(main, main, main)
        (folder / f"completions_{step:05d}.parquet").write_bytes(bytes([step]))
    assert [path.name for path in sorted(folder.iterdir())] == [
        "completions_00001.parquet", "completions_00003.parquet",
    ]  # fmt: skip
    (folder / "completions_00002.parquet").write_bytes(b"written again after an interruption")
    files.publish(tmp_path / "output")
    assert [path.name for path in sorted((tmp_path / "output" / FOLDER).iterdir())] == [
        "completions_00001.parquet", "completions_00003.parquet",
    ]  # fmt: skip
