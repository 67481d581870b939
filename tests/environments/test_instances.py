"""New instances: the same kinds of problems about numbers, words and names that no training problem has."""

import re

import pytest

from pipeline.core.errors import DataError
from pipeline.environments import (
    ENVIRONMENT_NAMES,
    Problem,
    ProblemConfig,
    distinct_problems,
    problems,
    split_of,
    verify,
)
from pipeline.environments.registry import ENVIRONMENTS, REPEATS_BEFORE_NEW_ROUND, has_instances
from tests.settings import EASY

WITH = [
    (name, difficulty) for name, environment in ENVIRONMENTS.items() for difficulty in sorted(environment.new_instances)
]
COMPOSED = {
    ("logical_reasoning", 1): "more terms",
    # The step is new, the days are all there are.
    ("temporal_reasoning", 2): "longer spans",
    ("temporal_reasoning", 3): "longer spans",
}
"""Whose new instances need no new word; numbers may be made of known digits anyway."""


def words_of(prompts: list[str]) -> set[str]:
    return {word.casefold() for prompt in prompts for word in re.findall(r"\w+", prompt)}


@pytest.mark.parametrize(("name", "difficulty"), WITH)
def test_new_instances_have_what_no_training_prompt_of_any_difficulty_has(name: str, difficulty: int) -> None:
    config = ProblemConfig(difficulty=difficulty, assistant="Fivephase")
    new = distinct_problems(name, 60, 0, "instances", config)
    assert len(new) >= 40
    assert {each.environment for each in new} == {name}
    trained = [
        each.prompt
        for other in (1, 2, 3)
        for split in ("train", "held_out")
        for each in problems(name, 400, 1, split, ProblemConfig(difficulty=other, assistant="Fivephase"))
    ]
    assert {each.prompt for each in new}.isdisjoint(trained)
    if (name, difficulty) not in COMPOSED and name not in ("math", "science", "in_context_learning"):
        known = words_of(trained)
        strange = [each.prompt for each in new if words_of([each.prompt]) <= known]
        assert not strange, f"nothing in them is new: {strange[:3]}"
    for problem in new[:20]:
        verdict = verify(problem, problem.solution)
        assert (verdict.score, verdict.in_format) == (1.0, True), problem


def test_sums_of_new_instances_are_none_of_the_trained_ones_and_their_numbers_are_all_trained() -> None:
    def sums(*drawn: list[Problem]) -> set[tuple[int, ...]]:
        return {tuple(map(int, re.findall(r"\d+", each.prompt))) for problems in drawn for each in problems}

    trained = sums(*(distinct_problems("math", 5_000, 0, split, EASY) for split in ("train", "held_out")))
    new = sums(distinct_problems("math", 999, 0, "instances", EASY))
    assert len(trained) > 3 * len(new) > 100
    assert trained.isdisjoint(new)
    for place in (0, 1):
        assert {each[place] for each in new} <= {each[place] for each in trained} == set(range(16))


def test_environments_say_whether_they_have_new_instances() -> None:
    assert {name for name in ENVIRONMENT_NAMES if not has_instances(name, EASY)} == {"temporal_reasoning", "identity"}
    with pytest.raises(DataError, match="temporal_reasoning: no new instances at difficulty 1, leave the split out"):
        distinct_problems("temporal_reasoning", 3, 0, "instances", EASY)


def test_no_prompt_comes_twice_and_a_small_space_is_asked_whole() -> None:
    """Days and months before and after: 380 prompts, of which 69 are held out by their hash."""
    found = distinct_problems("temporal_reasoning", 500, 0, "held_out", EASY)
    prompts = [each.prompt for each in found]
    assert len(set(prompts)) == len(prompts) == 69
    assert {each.prompt for each in distinct_problems("temporal_reasoning", 500, 7, "held_out", EASY)} == set(prompts)
    assert {split_of(prompt) for prompt in prompts} == {"held_out"}
    assert len(problems("temporal_reasoning", 500, 0, "held_out", EASY)) == 500


def test_different_problems_are_those_of_old_until_one_repeats() -> None:
    assert REPEATS_BEFORE_NEW_ROUND > 1
    assert distinct_problems("math", 40, 3, "train", EASY) == problems("math", 40, 3, "train", EASY)
    assert distinct_problems("math", 5, 3, "train", EASY) == distinct_problems("math", 40, 3, "train", EASY)[:5]
