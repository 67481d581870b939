"""Problems of a difficulty between two whole numbers."""

import pytest

from pipeline.core.errors import DataError
from pipeline.environments import problems, split_of
from pipeline.environments.mixed_difficulty import MixedProblems
from pipeline.environments.problem import ProblemConfig
from tests.settings import EASY


def drawn(difficulties: list[float], environment: str = "logical_reasoning") -> list[str]:
    stream = MixedProblems(environment, 0, EASY)
    return [stream.draw(each).prompt for each in difficulties]


def test_a_whole_difficulty_is_that_of_problems() -> None:
    for difficulty in (1, 2, 3):
        config = ProblemConfig(difficulty=difficulty, assistant=EASY.assistant)
        assert drawn([float(difficulty)] * 20) == [
            each.prompt for each in problems("logical_reasoning", 20, 0, "train", config)
        ]


def test_a_fraction_is_a_mix_of_its_neighbors() -> None:
    harder = ProblemConfig(difficulty=2, assistant=EASY.assistant)
    of_two = {each.prompt for each in problems("logical_reasoning", 400, 0, "train", harder)}
    assert sum(prompt in of_two for prompt in drawn([1.25] * 400)) == pytest.approx(100, abs=30)


@pytest.mark.parametrize("environment", ["math", "structured_output", "tool_calling"])
def test_prompts_are_distinct_of_the_training_split_and_follow_from_the_difficulties(environment: str) -> None:
    difficulties = [1.0 + 0.01 * number for number in range(200)]
    once = drawn(difficulties, environment)
    assert once == drawn(difficulties, environment)
    assert once[:50] == drawn(difficulties[:50], environment)
    assert len(set(once)) >= 0.97 * len(once)
    assert {split_of(prompt) for prompt in once} == {"train"}


def test_few_prompts_begin_again_and_none_that_can_be_used_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    few = MixedProblems("temporal_reasoning", 0, EASY)
    assert len({few.draw(1.0).prompt for _ in range(400)}) < 400
    monkeypatch.setattr("pipeline.environments.mixed_difficulty.DRAWS_WITHOUT_SPLIT", 50)
    with pytest.raises(DataError, match="math: 50 prompts of difficulty 2 drawn"):
        MixedProblems("math", 0, EASY, usable=lambda problem: False).draw(2.0)
