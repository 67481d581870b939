"""Tasks of lm-evaluation-harness: two local ones, where the package is installed; and what is said without it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.core.extras import is_installed
from pipeline.evaluation.config import HarnessConfig
from pipeline.evaluation.harness import measure
from pipeline.evaluation.task_files import check_tasks, describe_tasks
from pipeline.inference.loading import LoadedModel
from tests.evaluation.settings import bench_of

CHOICES = [{"question": "One and one is", "choices": [" two", " seven"], "answer": number % 2} for number in range(4)]
TASKS: dict[str, dict[str, Any]] = {
    "local_choice": {
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}],
    },
    "local_words": {
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "two",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4, "do_sample": False},
        "metric_list": [{"metric": "exact_match"}],
    },
}
needs_harness = pytest.mark.skipif(not is_installed("lm_eval"), reason="lm_eval is not installed")


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder of two tasks with their data."""
    folder = tmp_path / "own tasks"
    folder.mkdir()
    data = folder / "data.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in CHOICES))
    for name, task in TASKS.items():
        source = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}, "test_split": "test"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"task": name, **source, **task}))
    return folder


def harness(tasks: Path, *names: str) -> dict[str, Any]:
    return {"tasks": names, "include_path": str(tasks)}


@needs_harness
def test_a_suite_of_two_local_tasks(
    loaded: LoadedModel, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    bench = bench_of(loaded, tmp_path / "state", harness=harness(tasks, *TASKS))
    metrics = measure(bench).metrics
    # The same choice is right in half of the rows.
    assert metrics["harness/local_choice/acc"] == 0.5
    assert metrics["harness/local_choice/acc_stderr"] == pytest.approx((0.25 / 3) ** 0.5, rel=1e-6)
    assert metrics["harness/local_words/exact_match"] == 0
    monkeypatch.setattr("lm_eval.simple_evaluate", lambda **_: pytest.fail("asked again"))
    assert measure(bench).metrics == metrics


@needs_harness
def test_an_unknown_task_is_named_with_the_nearest(tasks: Path) -> None:
    with pytest.raises(ConfigError, match=r"no task local_chioce in lm_eval, did you mean local_choice\?"):
        check_tasks(build(HarnessConfig, harness(tasks, "local_chioce"), ""))


@pytest.mark.skipif(is_installed("lm_eval"), reason="lm_eval is installed")
def test_a_package_that_is_missing_is_said_with_its_command(tasks: Path) -> None:
    said = check_tasks(build(HarnessConfig, harness(tasks, "local_choice"), ""))
    assert said is not None
    assert "lm_eval is not installed; run `" in said


def test_tasks_are_known_by_the_content_of_their_files(tasks: Path) -> None:
    before = describe_tasks(str(tasks))
    assert [each[0] for each in before] == ["data.jsonl", "local_choice.yaml", "local_words.yaml"]
    (tasks / "data.jsonl").write_text("{}\n")
    assert describe_tasks(str(tasks)) != before
    with pytest.raises(ConfigError, match=r"harness\.include_path=nowhere: no such folder"):
        describe_tasks("nowhere")
