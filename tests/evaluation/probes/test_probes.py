"""Probes are functions of their seed, as long as asked, and hold their answers."""

import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import ConfigError
from pipeline.evaluation.probes.fitting import Example, example
from pipeline.evaluation.probes.names import FAMILIES
from pipeline.evaluation.probes.probes import measure, score
from pipeline.evaluation.probes.task import Task
from pipeline.inference.loading import LoadedModel
from pipeline.stages import load_symbol
from tests.evaluation.settings import bench_of

LENGTH = 6000
"""Tokens of the smallest list of common words, by the tokenizer of 512 ids, and some more."""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_task_is_as_long_as_asked_and_drawn_from_its_seed(family: str, loaded: LoadedModel) -> None:
    first = example(family, LENGTH, "0", loaded.tokenizer, "suite=x.probes")
    assert first == example(family, LENGTH, "0", loaded.tokenizer, "suite=x.probes")
    assert first.task != example(family, LENGTH, "1", loaded.tokenizer, "suite=x.probes").task
    assert 0.9 * LENGTH < len(first.prompt) + first.room <= LENGTH
    if family != "fill_in_the_middle":
        assert all(answer.strip() in first.task.prompt for answer in first.task.answers)
    right: Any = {"text": f"… {', '.join(first.task.answers)}.", "first": first.answer}
    assert (score(first, right), score(first, {"text": "", "first": []})) == (1.0, 0.0)


def test_what_is_asked_for_is_what_stands_there_most_often() -> None:
    for family in ("common_words", "frequent_words"):
        task: Task = load_symbol(FAMILIES[family])(random.Random(1), 40)
        words = task.prompt.split("\n")[1].split()
        counts = {word: words.count(word) for word in set(words) if not word.endswith(".")}
        most = sorted(counts, key=lambda word: -counts[word])[: len(task.answers)]
        assert set(most) == set(task.answers)
        assert counts[most[-1]] > max(count for word, count in counts.items() if word not in task.answers)


def test_variables_lead_to_the_value_in_the_order_of_the_text() -> None:
    task: Task = load_symbol(FAMILIES["variable_tracking"])(random.Random(2), 30)
    values: dict[str, str] = {}
    for said in task.prompt.split("VAR ")[1:]:
        name, _, rest = said.partition(" = ")
        if rest:
            values[name] = rest.split(".")[0]
    for name, before in zip(task.answers[1:], task.answers, strict=False):
        assert task.prompt.index(f"VAR {before} =") < task.prompt.index(f"VAR {name} =")
    assert len(task.answers) == 5


def test_a_length_that_is_too_short_says_what_would_do(loaded: LoadedModel) -> None:
    with pytest.raises(ConfigError, match=r"x\.lengths=20: too short for single_needle, .* set \d+ or more"):
        example("single_needle", 20, "0", loaded.tokenizer, "x")


def test_a_tokenizer_without_the_tokens_is_not_asked_to_fill_in(loaded: LoadedModel) -> None:
    class Plain:
        def get_vocab(self) -> dict[str, int]:
            return {"a": 0}

    with pytest.raises(ConfigError, match="fill_in_the_middle needs tokens such as"):
        example("fill_in_the_middle", 100, "0", Plain(), "x")


def test_a_model_with_random_weights_is_at_chance(loaded: LoadedModel, tmp_path: Path) -> None:
    probes = {"families": ["short_needle", "single_needle"], "lengths": [300], "examples": 4}
    found = measure(bench_of(loaded, tmp_path, probes=probes))
    assert found.metrics["probe/single_needle/300"] == found.metrics["probe_chance/single_needle/300"] == 0
    assert abs(found.metrics["probe_gain/short_needle/300"]) < 0.5
    assert [sample["domain"] for sample in found.samples] == ["short_needle, 300 tokens", "single_needle, 300 tokens"]


def test_scores_are_shares() -> None:
    task = Task("", ("alpha", "beta"))
    each = Example("common_words", 10, [], [], task, 1)
    assert score(each, {"text": "beta, gamma"}) == 0.5
    forced = Example("copying", 10, [], [1, 2, 3, 4], Task("", ("x",), forced=True), 4)
    assert score(forced, {"text": "", "first": [1, 9, 3, 9]}) == 0.5
