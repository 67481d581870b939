"""`fivephase report`, its comparison, and what they say of input that cannot be."""

import shutil
from pathlib import Path

import pytest

from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR
from pipeline.core.files import read_json, write_json
from tests.command_line import error_line, fivephase
from tests.reporting.small_run import make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "first")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A folder of runs with a space in its name."""
    runs = tmp_path / "my runs"
    shutil.copytree(made, runs / "first")
    return runs


def test_the_page_of_a_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run has stages that its settings do not: the report says so of those that it is to have."""
    assert fivephase("report", "run=first", f"root={root}") == EXIT_DONE
    printed = capsys.readouterr().out
    assert printed.startswith("stage ")
    assert str(root / "first" / "report.html") in printed.splitlines()[-1]
    assert "<h1>Run first</h1>" in (root / "first" / "report.html").read_text()
    assert "made with other settings than the run has now" in (root / "first" / "report.md").read_text()


def test_a_run_whose_settings_this_version_does_not_take(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remembered = read_json(root / "first" / "run.json")
    remembered["overrides"] = ["stages.phase1.config.gone=1"]
    write_json(root / "first" / "run.json", remembered)
    assert fivephase("report", "run=first", f"root={root}", f"--output={root / 'out'}") == EXIT_DONE
    assert "stages.phase1.config.gone: unknown key" in capsys.readouterr().err
    text = (root / "out" / "report.md").read_text()
    assert "the settings of this run are not taken by this version" in text
    assert "| rl\\_math | done |" in text
    assert not (root / "first" / "report.html").exists()


def test_a_comparison_by_name_and_by_path(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(root / "first", root / "second")
    assert fivephase("report", "--compare", "first", str(root / "second"), f"root={root}") == EXIT_DONE
    page, text = capsys.readouterr().out.splitlines()
    assert Path(page) == root / "compared-first-second.html"
    assert Path(page).exists()
    assert Path(text).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--compare", "first"), "name two runs at least"),
        (("--compare", "first", "frist"), "--compare frist: no such run in"),
        (("--compare", "first", "first"), "one run is named twice"),
        (("--compare", "first", "first", "seed=1"), "seed=1: takes names or folders of runs, and root= alone"),
        (("run=second",), "run=second: no such run"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], message: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_line(capsys, "report", *arguments, f"root={root}")


def test_a_folder_that_cannot_be_written_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fivephase("report", "run=first", f"root={root}", f"--output={__file__}/x") == EXIT_USER_ERROR
    assert f"{__file__}" in capsys.readouterr().err
