"""What of replies becomes metrics, rows and examples."""

import dataclasses
import json
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError, DataError
from pipeline.core.statistics import wilson_interval
from pipeline.evaluation.accuracy import accuracy_metrics, asked_problems, example_answers, measure_accuracy
from pipeline.evaluation.answers import SAMPLES, read_answers, write_answers
from pipeline.evaluation.config import AccuracyConfig, EvaluateConfig
from pipeline.evaluation.floors import Floor
from pipeline.inference.loading import LoadedModel
from tests.evaluation.answered import answered
from tests.settings import EASY, stage_config, stage_settings

SPLITS = ("held_out", "train", "instances")


def config(**changes: object) -> AccuracyConfig:
    given = {"environments": ["math", "temporal_reasoning"], "problems_per_environment": 20, "splits": SPLITS}
    settings = {**given, "maximum_new_tokens": 4, "problems": EASY, "batch_prompts": 16, **changes}
    return AccuracyConfig(**settings)  # pyright: ignore[reportArgumentType]


def test_a_score_stands_beside_its_interval_floor_chance_and_number_of_prompts() -> None:
    answers = answered("math", 6, 10) + answered("science", 0, 5) + answered("math", 10, 10, "train")
    floors = {"math": Floor("4", 0.2, 0.1, ""), "science": Floor("x", 0.4, 0.2, ""), "math/train": Floor("4", 0, 0, "")}
    metrics = accuracy_metrics(answers, floors)
    assert (metrics["accuracy/math"], metrics["accuracy/science"], metrics["accuracy/mean"]) == (0.6, 0.0, 0.3)
    assert (metrics["accuracy/math/low"], metrics["accuracy/math/high"]) == wilson_interval(6, 10)
    assert metrics["accuracy/mean/low"] < 0.3 < metrics["accuracy/mean/high"]
    assert (metrics["floor/math"], metrics["chance/math"], metrics["prompts/math"]) == (0.2, 0.1, 10)
    assert metrics["floor/mean"] == pytest.approx(0.3)
    assert metrics["above_floor"] == 1, "of ten prompts, six right are above a fifth"
    assert (metrics["accuracy_train/math"], metrics["prompts_train/math"], metrics["above_floor_train"]) == (1, 10, 1)


def test_a_reply_without_an_end_scores_0_and_is_counted() -> None:
    metrics = accuracy_metrics(answered("math", 4, 4, ended=False) + answered("science", 4, 4), {})
    assert (metrics["accuracy/math"], metrics["unfinished/math"], metrics["in_format/math"]) == (0, 1, 0)
    assert (metrics["accuracy/science"], metrics["unfinished/science"], metrics["unfinished/mean"]) == (1, 0, 0.5)
    assert "floor/mean" not in metrics


def test_no_prompt_is_asked_twice_and_only_those_with_new_instances_are_asked_for_some() -> None:
    asked = asked_problems(config(problems_per_environment=80), 0)
    assert {name: len(own) for name, own in asked.items()} == {
        ("math", "held_out"): 80,
        ("temporal_reasoning", "held_out"): 69,
        ("math", "train"): 80,
        ("temporal_reasoning", "train"): 80,
        ("math", "instances"): 80,
    }
    for own in asked.values():
        assert len({each.prompt for each in own}) == len(own)


def test_known_floors_are_taken_for_the_same_prompts_and_no_others(loaded: LoadedModel) -> None:
    settings = config(environments=["math"], splits=("held_out",), problems_per_environment=6)
    first = measure_accuracy(loaded, settings, seed=0)
    assert first.metrics["prompts/math"] == 6
    planted = {"math": dataclasses.replace(first.floors["math"], constant=0.875)}
    assert measure_accuracy(loaded, settings, seed=0, known=planted).floors == planted
    other = measure_accuracy(loaded, settings, seed=1, known=planted)
    assert other.floors["math"].constant != 0.875


def test_rows_come_back_from_their_file_whatever_a_reply_holds(tmp_path: Path) -> None:
    [answer] = answered("math", 1, 1)
    strange = dataclasses.replace(answer, output='"quotes", \u2028 a separator, \ud800 half a pair,\na new line')
    write_answers(tmp_path, [answer, strange])
    assert read_answers(tmp_path) == [answer, strange]
    row = json.loads((tmp_path / SAMPLES).read_text().split("\n")[0])
    assert {"domain", "split", "prompt", "output", "score", "reason", "finished"} <= set(row)
    assert [each.name for each in tmp_path.iterdir()] == [SAMPLES]
    assert read_answers(tmp_path / "of an older version") is None
    (tmp_path / SAMPLES).write_text('{"prompt": "What is')
    with pytest.raises(DataError, match=r"samples\.jsonl: no rows of an evaluation"):
        read_answers(tmp_path)


def test_one_answer_of_each_domain_is_shown() -> None:
    answers = answered("math", 2, 2) + answered("science", 2, 2)
    examples = example_answers(answers, 3)
    assert [(each["domain"], each["prompt"], each["score"]) for each in examples] == [
        ("math", answers[0].prompt, "1 (right)"), ("science", answers[2].prompt, "1 (right)"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([], "splits"),
        (["train"], "held_out is missing, add it"),
        (["held_out", "held_out"], "one is named twice"),
        (["held_out", "instance"], "splits"),
    ],
)
def test_splits_are_checked(splits: list[str], message: str) -> None:
    changed = {**stage_settings("evaluate_sft")["accuracy"], "splits": splits}
    with pytest.raises(ConfigError, match=message):
        stage_config("evaluate_sft", accuracy=changed)


def test_the_stages_after_sft_ask_the_same() -> None:
    sft, last = (stage_config(stage) for stage in ("evaluate_sft", "evaluate_rl_math"))
    assert isinstance(last, EvaluateConfig)
    assert (sft.accuracy, sft.gates) == (last.accuracy, last.gates)
