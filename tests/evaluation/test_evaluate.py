"""The evaluate stage and its settings."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError
from pipeline.evaluation import evaluate
from pipeline.evaluation.config import EvaluateConfig

LONG_CONTEXT = {
    "beyond": 64,
    "contexts": [128, 256],
    "domains": ["code"],
    "windows": 3,
    "needles": 3,
    "value_digits": 3,
}
SETTINGS = {
    "precision": "fp32",
    "attention": "sdpa",
    "batch_tokens": 65_536,
    "headline": "loss/mean",
    "loss": {"context": 64, "sequences_per_domain": 4},
    "long_context": LONG_CONTEXT,
    "text": None,
    "probes": None,
    "accuracy": {
        "environments": ["math", "science"],
        "problems_per_environment": 5,
        "maximum_new_tokens": 4,
        "problems": {"difficulty": 1, "assistant": "Fivephase"},
        "batch_prompts": 4,
    },
}


def settings(**changes: object) -> EvaluateConfig:
    return build(EvaluateConfig, SETTINGS | changes, where="stages.evaluate.config")


def test_the_stage_measures_writes_and_repeats_itself(
    tmp_path: Path, model_artifact: Artifact, tokens_artifact: Artifact
) -> None:
    inputs = {"model": model_artifact, "tokens": tokens_artifact}
    first = evaluate.run(StageContext.for_test("evaluate_a", settings(), inputs, tmp_path / "a"))
    manifest = dataclasses.replace(model_artifact.manifest, metrics={"loss/mean": 9.0})
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
