"""`fivephase contamination`: the table, the file, and what it says of input that cannot be."""

import shutil
from pathlib import Path

import pytest

from pipeline.core.errors import EXIT_DONE
from pipeline.core.files import read_json
from tests.command_line import error_line, fivephase
from tests.evaluation.contaminated_run import make_contaminated_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_contaminated_run(tmp_path / "my runs" / "first")
    return tmp_path / "my runs"


def test_the_training_data_are_read_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("contamination", "run=first", f"root={root}")
    assert fivephase(*arguments) == EXIT_DONE
    first = capsys.readouterr()
    assert "fivephase: training data, 4 texts" in first.err
    assert first.out.startswith("evaluate_sft\n  held against: curate, sft_data\n")
    assert first.out.splitlines()[-1] == str(root / "first" / "contamination.json")
    written = read_json(root / "first" / "contamination.json")
    assert [each["stage"] for each in written["evaluations"]] == ["evaluate_sft", "evaluate_rl_math"]
    # The artifacts that it named are as they were: nothing is read again.
    assert fivephase(*arguments) == EXIT_DONE
    again = capsys.readouterr()
    assert (again.out, again.err) == (first.out, "")


def test_bad_input_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (("run=frist",), f"run=frist: no such run in {root}/, did you mean first?"),
        (("run=first", "seed=1"), "contamination seed=1: takes run= and root= alone"),
    ):
        assert message in error_line(capsys, "contamination", *arguments, f"root={root}")
    for name in ("evaluate_sft", "evaluate_rl_math"):
        shutil.rmtree(root / "first" / name)
    said = error_line(capsys, "contamination", "run=first", f"root={root}")
    assert f"run=first: no finished evaluation in {root / 'first'} has answers" in said
