"""How many prompts of a run's evaluations its own training data hold, and when that is not to be said."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import ArtifactError, ConfigError, DataError
from pipeline.core.files import read_json, write_json
from pipeline.core.progress import Progress
from pipeline.core.statistics import wilson_interval
from pipeline.evaluation.contamination import CONTAMINATION, contamination_lines, finished_evaluations, read_current
from pipeline.evaluation.contamination_search import measure_contamination
from tests.evaluation.contaminated_run import LONG, make_contaminated_run, publish_evaluation


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_contaminated_run(tmp_path_factory.mktemp("made") / "first")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "my runs" / "first")


@pytest.fixture(scope="module")
def written(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measure_contamination(shutil.copytree(made, tmp_path_factory.mktemp("once") / "first"), Progress(None))


def scores(written: dict[str, Any], evaluation: str) -> dict[str, Any]:
    return of_stage(written, evaluation)["scores"]


def of_stage(written: dict[str, Any], evaluation: str) -> dict[str, Any]:
    return next(each for each in written["evaluations"] if each["stage"] == evaluation)


def test_golden_values_after_sft(written: dict[str, Any]) -> None:
    """0 + 4 is in a conversation, 20 words of 28 in a document; the sum of RL comes after this model."""
    math = scores(written, "evaluate_sft")["math"]
    assert {key: math[key] for key in ("prompts", "score", "held", "exact", "by_stage")} == {
        "prompts": 4, "score": 0.5, "held": 2, "exact": 1, "by_stage": {"sft_data": 1, "curate": 1},
    }  # fmt: skip
    low, high = wilson_interval(0, 2)
    assert math["others"] == {"prompts": 2, "score": 0.0, "low": low, "high": high}
    assert math["example"] == {
        "prompt": "work out 0 + 4", "stage": "sft_data", "place": "train.jsonl:1", "exact": True, "coverage": 1.0,
        "text": "Work out 0 + 4.\n\nHere it is.",
    }  # fmt: skip


def test_a_model_has_the_data_of_the_stages_it_was_made_by(written: dict[str, Any]) -> None:
    assert list(of_stage(written, "evaluate_sft")["trained_on"]) == ["curate", "sft_data"]
    assert list(of_stage(written, "evaluate_rl_math")["trained_on"]) == ["curate", "rl_math", "sft_data"]
    math = scores(written, "evaluate_rl_math")["math"]
    assert (math["held"], math["by_stage"]) == (3, {"sft_data": 1, "curate": 1, "rl_math": 1})
    assert math["others"]["prompts"] == 1


def test_what_was_removed_or_held_back_is_no_training_data(written: dict[str, Any]) -> None:
    chat = scores(written, "evaluate_rl_math")["general_chat"]
    assert (chat["held"], chat["example"], chat["others"]["score"]) == (0, None, 0.5)


def test_without_a_prompt_that_is_left_there_is_no_score(written: dict[str, Any]) -> None:
    seen = scores(written, "evaluate_sft")["general_chat/train"]
    assert (seen["held"], seen["others"]) == (1, {"prompts": 0, "score": None, "low": None, "high": None})


def test_the_table_fits_a_terminal(written: dict[str, Any]) -> None:
    lines = contamination_lines(written)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "evaluate_sft\n  held against: curate, sft_data\n" in text
    assert "  math                 4  2 (50 %)  0.500   0.000  0.000 to 0.658\n" in text
    assert "  general_chat          1  1 (100 %)  1.000       —\n" in text
    assert "  such as 'work out 0 + 4':\n    whole in sft_data/train.jsonl:1\n" in text


def test_a_long_prompt_says_how_much_of_it_is_held(run: Path) -> None:
    path = run / "evaluate_sft" / "samples.jsonl"
    rows = [line for line in path.read_text().splitlines() if LONG in line]
    rewrite(run / "evaluate_sft", "samples.jsonl", "\n".join(rows) + "\n")
    text = "\n".join(contamination_lines(measure_contamination(run, Progress(None))))
    assert "71 % of its words in curate/documents/books/00000.jsonl.gz:2" in text


def rewrite(stage: Path, name: str, content: str) -> None:
    """Gives a stage another file, as if it had been made anew with the same settings."""
    (stage / name).write_text(content)
    manifest = read_json(stage / "manifest.json")
    manifest["files"][name] = {"size": len(content.encode()), "sha256": str(hash(content))}
    write_json(stage / "manifest.json", manifest)


def test_the_file_is_current_until_the_run_changes(run: Path) -> None:
    assert read_current(run) is None
    written = measure_contamination(run, Progress(None))
    assert read_current(run) == written == read_json(run / CONTAMINATION)
    publish_evaluation(run, "evaluate_again", {"model": "sft"})
    assert read_current(run) is None
    measure_contamination(run, Progress(None))
    rewrite(run / "sft_data", "train.jsonl", "")
    assert read_current(run) is None


@pytest.mark.parametrize("content", ["[]", "{}", '{"evaluations": [3]}'])
def test_a_file_of_another_form_is_not_current(content: str, run: Path) -> None:
    (run / CONTAMINATION).write_text(content)
    assert read_current(run) is None


def test_the_same_run_gives_the_same_bytes(run: Path) -> None:
    measure_contamination(run, Progress(None))
    first = (run / CONTAMINATION).read_bytes()
    measure_contamination(run, Progress(None))
    assert (run / CONTAMINATION).read_bytes() == first


def test_data_of_another_run(run: Path) -> None:
    """The second run begins with the first one's data."""
    second = run.parent / "second"
    for name in ("sft", "evaluate_sft"):
        shutil.copytree(run / name, second / name)
    manifest = read_json(second / "sft" / "manifest.json")
    for role, stage in (("model", "phase1"), ("data", "sft_data")):
        manifest["inputs"][role]["folder"] = f"../first/{stage}"
    write_json(second / "sft" / "manifest.json", manifest)
    written = measure_contamination(second, Progress(None))
    assert list(of_stage(written, "evaluate_sft")["trained_on"]) == ["first/curate", "first/sft_data"]
    assert scores(written, "evaluate_sft")["math"]["held"] == 2


def test_imported_weights_are_said_to_be_unknown(run: Path) -> None:
    manifest = read_json(run / "phase1" / "manifest.json")
    write_json(run / "phase1" / "manifest.json", {**manifest, "kind": "import_model", "inputs": {}})
    manifest = read_json(run / "sft_data" / "manifest.json")
    write_json(run / "sft_data" / "manifest.json", {**manifest, "inputs": {}})
    lines = contamination_lines(measure_contamination(run, Progress(None)))
    assert "  held against: sft_data, not phase1, whose texts are not known" in lines


def test_what_cannot_be_measured_is_one_line(run: Path) -> None:
    shutil.rmtree(run / "sft_data")
    with pytest.raises(ArtifactError, match=r"sft_data: sft was made from it, but it is missing; run from=sft_data"):
        measure_contamination(run, Progress(None))
    for name in ("evaluate_sft", "evaluate_rl_math"):
        (run / name / "manifest.json").unlink()
    with pytest.raises(ConfigError, match=r"run=first: no finished evaluation in .* has answers; `fivephase run"):
        measure_contamination(run, Progress(None))


def test_no_training_data_is_one_line(run: Path) -> None:
    for name in ("sft", "rl_math"):
        manifest = read_json(run / name / "manifest.json")
        write_json(run / name / "manifest.json", {**manifest, "kind": "import_model", "inputs": {}})
    with pytest.raises(ConfigError, match="run=first: what its evaluated models were trained on is not known here"):
        measure_contamination(run, Progress(None))


@pytest.mark.parametrize(
    ("stage", "name", "message"),
    [
        ("sft_data", "train.jsonl", r"train\.jsonl:1: no conversation .*; `fivephase remake sft_data run=first`"),
        ("curate", "documents/books/00000.jsonl.gz", r"00000\.jsonl\.gz: damaged after line 0"),
        ("rl_math", "completions/completions_00001.parquet", "completions_00001.parquet: no completions"),
        ("evaluate_sft", "samples.jsonl", r"samples\.jsonl: no rows of an evaluation"),
    ],
)
def test_a_damaged_file_is_one_line(stage: str, name: str, message: str, run: Path) -> None:
    rewrite(run / stage, name, '{"a": 1}\n')
    with pytest.raises(DataError, match=message):
        measure_contamination(run, Progress(None))
    with (run / stage / name).open("a") as file:
        file.write("more")
    with pytest.raises(ArtifactError, match=r"its manifest says 9"):
        measure_contamination(run, Progress(None))
    assert not (run / CONTAMINATION).exists()


def test_files_that_the_manifest_does_not_name_are_not_read(run: Path) -> None:
    (run / "sft_data" / "train.jsonl.1").write_text("{")
    with gzip.open(run / "curate" / "documents" / "books" / "._00000.jsonl.gz", "wt") as file:
        file.write(json.dumps({"id": "9", "text": "Name a mountain."}) + "\n")
    assert scores(measure_contamination(run, Progress(None)), "evaluate_sft")["general_chat"]["held"] == 0


def test_evaluations_come_in_the_order_in_which_they_finished(run: Path) -> None:
    assert [each.name for each in finished_evaluations(run)] == ["evaluate_sft", "evaluate_rl_math"]
