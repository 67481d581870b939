"""The table of post-training, of answers that are already there."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.files import write_json
from pipeline.evaluation.answers import write_answers
from tests import ROOT
from tests.evaluation.answered import answered


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs with sft and rl_math done, whose replies are kept."""
    found = []
    for number, right in enumerate((9, 18)):
        run = tmp_path / "two runs" / f"seed{number}"
        for stage in ("sft", "rl_math"):
            (run / stage).mkdir(parents=True)
            (run / stage / "manifest.json").write_text("{}")
            place = tmp_path / "kept" / "20-prompts" / run.name / stage
            place.mkdir(parents=True)
            answers = [
                each
                for split in ("held_out", "instances", "train")
                for each in answered("math", right if stage == "rl_math" else 2, 20, split)
            ]
            write_answers(place, answers)
        write_json(run / "sft_data" / "config.json", {"config": {"problems": {"difficulty": 1, "assistant": "Ada"}}})
        write_json(run / "evaluate_sft" / "config.json", {"config": {"accuracy": {"maximum_new_tokens": 8}}})
        found.append(run)
    floor = {"reply": "4", "constant": 0.2, "chance": 0.1, "prompts": ""}
    floors = dict.fromkeys(("math", "math/train", "math/instances"), floor)
    write_json(tmp_path / "kept" / "20-prompts" / "floors.json", floors)
    return found


def test_runs_stand_side_by_side_with_floor_and_changes(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table.md"
    arguments: list[Any] = [*runs, "--into", tmp_path / "kept", "--prompts", "20", "--write", table]
    monkeypatch.setattr("sys.argv", ["posttraining.py", *map(str, arguments)])
    runpy.run_path(str(ROOT / "benchmarks" / "posttraining.py"), run_name="__main__")
    text = table.read_text()
    assert "| | prompts | chance | best constant | sft | rl_math |" in text
    # Two of 20 are not above a fifth; nine of 20 are.
    assert "| `math` | 20 | 0.10 | 0.20 | 0.10 (0.10 to 0.10) 0/2 | 0.68 (0.45 to 0.90) 2/2 |" in text
    assert "| `math/instances` | +0.35" in text
    assert str(tmp_path) not in text.replace(" ".join(map(str, runs)), ""), "only the command names folders"
