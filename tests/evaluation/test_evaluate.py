"""The evaluate stage and its settings."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError, GateError
from pipeline.evaluation import evaluate
from pipeline.evaluation.answers import read_answers, write_answers
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.report import report_lines
from tests.evaluation.settings import LONG_CONTEXT, SETTINGS


def settings(**changes: object) -> EvaluateConfig:
    return build(EvaluateConfig, SETTINGS | changes, where="stages.evaluate.config")


def test_the_stage_measures_writes_and_repeats_itself(
    tmp_path: Path, model_artifact: Artifact, tokens_artifact: Artifact
) -> None:
    inputs = {"model": model_artifact, "tokens": tokens_artifact}
    first = evaluate.run(StageContext.for_test("evaluate_a", settings(), inputs, tmp_path / "a"))
    manifest = replace(model_artifact.manifest, metrics={"loss/mean": 9.0})
    previous = Artifact(tmp_path / "a", manifest)
    context = StageContext.for_test("evaluate_b", settings(), inputs | {"before": previous}, tmp_path / "b")
    second = evaluate.run(context)
    assert second.metrics == first.metrics
    assert (second.measure, second.before, second.after) == ("loss/mean", 9.0, first.metrics["loss/mean"])
    assert first.metrics["loss/code"] == pytest.approx(math.log(512), rel=0.5)
    expected = {"loss/code", "long_range_loss/256", "needle_exact/128", "needle_gain/256", "accuracy/mean"}
    assert expected <= set(first.metrics)
    written = json.loads((context.output / "evaluation.json").read_text())
    assert written["metrics"] == first.metrics
    assert set(first.samples[0]) == {"domain", "prompt", "answer", "score"}


def accuracy_alone(**changes: object) -> EvaluateConfig:
    return settings(loss=None, long_context=None, headline="accuracy/mean", **changes)


def test_what_changed_since_the_evaluation_before_is_written_and_reported(
    tmp_path: Path, model_artifact: Artifact
) -> None:
    """The model answers nothing: what a better one is said to have got right before, it has lost."""
    inputs = {"model": model_artifact}
    first = StageContext.for_test("evaluate_a", accuracy_alone(), inputs, tmp_path / "a")
    metrics = evaluate.run(first).metrics
    answers = read_answers(first.output)
    assert answers is not None
    assert len(answers) == 20
    assert json.loads((first.output / "evaluation.json").read_text())["changes"] == {}
    planted = tmp_path / "planted"
    planted.mkdir()
    write_answers(planted, [replace(each, score=1.0) if each.domain == "math" else each for each in answers])
    shutil.copy(first.output / "evaluation.json", planted)
    before = Artifact(planted, replace(model_artifact.manifest, metrics=metrics))
    gates = {"accuracy_may_fall": 0.05, "loss_may_rise": None, "uniform_guess": True, "action": "warn"}
    second = StageContext.for_test(
        "evaluate_b", accuracy_alone(gates=gates), inputs | {"before": before}, tmp_path / "b"
    )
    evaluate.run(second)
    written = json.loads((second.output / "evaluation.json").read_text())
    assert set(written["changes"]) == {"math", "math/instances", "science", "science/instances"}
    assert written["changes"]["math"]["after"] - 1.0 == written["changes"]["math"]["change"] < 0
    assert written["changes"]["science"]["change"] == 0.0
    assert written["floors"] == json.loads((planted / "evaluation.json").read_text())["floors"]
    assert [each.split()[2] for each in written["warnings"]] == ["math", "math/instances"]
    lines = report_lines(second.output)
    assert any("new instances" in line and "floor" in line for line in lines)
    assert any(line.split()[:1] == ["math/instances"] for line in lines)
    assert sum(line.strip().startswith("warning: accuracy of math") for line in lines) == 2
    stop = accuracy_alone(gates=gates | {"action": "stop"})
    with pytest.raises(GateError, match=r"accuracy of math .* set stages\.evaluate_c\.config\.gates\.action=warn"):
        evaluate.run(StageContext.for_test("evaluate_c", stop, inputs | {"before": before}, tmp_path / "c"))


def test_an_evaluation_of_an_older_version_before_is_no_obstacle(tmp_path: Path, model_artifact: Artifact) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "evaluation.json").write_text('{"metrics": {"accuracy/math": 1.0}, "samples": []}')
    inputs = {"model": model_artifact, "before": Artifact(old, model_artifact.manifest)}
    context = StageContext.for_test("evaluate", accuracy_alone(), inputs, tmp_path / "new")
    assert evaluate.run(context).before is None
    assert json.loads((context.output / "evaluation.json").read_text())["changes"] == {}
    assert report_lines(old) == []
    assert report_lines(tmp_path / "nothing") == []


def test_what_is_measured_on_tokens_needs_some_and_nothing_else_does(tmp_path: Path, model_artifact: Artifact) -> None:
    context = StageContext.for_test("evaluate", settings(), {"model": model_artifact}, tmp_path / "a")
    with pytest.raises(ConfigError, match=r"stages\.evaluate\.config: loss, long_context is measured on tokens"):
        evaluate.run(context)
    accuracy = settings(loss=None, long_context=None, headline="accuracy/mean")
    context = StageContext.for_test("evaluate", accuracy, {"model": model_artifact}, tmp_path / "b")
    assert evaluate.run(context).tokens == 0


def test_a_headline_that_is_not_measured_is_rejected(
    tmp_path: Path, model_artifact: Artifact, tokens_artifact: Artifact
) -> None:
    inputs = {"model": model_artifact, "tokens": tokens_artifact}
    config = settings(headline="loss/cod", long_context=None, accuracy=None)
    with pytest.raises(ConfigError, match="did you mean loss/code"):
        evaluate.run(StageContext.for_test("evaluate", config, inputs, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": None, "long_context": None, "accuracy": None}, "are all null, set one"),
        ({"loss": {"context": 0, "sequences_per_domain": 4}}, r"loss\.context=0: set it above 0"),
        ({"loss": {"context": 64}}, r"loss\.sequences_per_domain: missing, set a value"),
        ({"los": {}}, "did you mean loss"),
        ({"headline": "acuracy/mean"}, r"headline acuracy/mean: no metric, did you mean accuracy\?"),
        ({"headline": "accuracy/mean", "accuracy": None}, r"headline accuracy/mean: accuracy is null and not measured"),
        ({"headline": "long_range_loss/512", "long_context": None}, "long_context is null and not measured"),
        (
            {"headline": "accuracy/maths"},
            r"headline accuracy/maths: accuracy\.environments has no maths, did you mean math",
        ),
        (
            {"long_context": {**LONG_CONTEXT, "beyond": 512}},
            "not reach beyond 512",
        ),
    ],
)
def test_settings_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**changes)


def test_settings_are_read_without_torch() -> None:
    code = "import sys, pipeline.evaluation.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
