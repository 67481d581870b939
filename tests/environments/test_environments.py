"""What holds for every environment: problems are pure functions and split, verifiers are total and bounded."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.config import build
from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import ENVIRONMENT_NAMES, Problem, ProblemConfig, problems, split_of, verify
from pipeline.environments.registry import ENVIRONMENTS
from pipeline.environments.testing import HOSTILE, check_environment
from tests.settings import EASY

FRAGMENTS = st.sampled_from(HOSTILE)
COMPLETIONS = st.one_of(
    st.text(max_size=200),
    st.lists(st.one_of(FRAGMENTS, st.text(max_size=10)), max_size=6).map(" ".join),
)


# Code is executed by a process each time: tests/environments/test_code.py.
@pytest.mark.parametrize("environment", [name for name in ENVIRONMENTS if name != "code"])
def test_an_environment_has_the_properties_of_all(environment: str) -> None:
    check_environment(ENVIRONMENTS[environment])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_train_and_held_out_share_no_prompt(environment: str) -> None:
    train = {problem.prompt for problem in problems(environment, 600, 0, "train", EASY)}
    held_out = {problem.prompt for problem in problems(environment, 200, 1, "held_out", EASY)}
    assert len(held_out) >= 8, "too few held-out prompts to measure anything"
    assert not train & held_out
    assert {split_of(prompt) for prompt in held_out} == {"held_out"}
    assert {split_of(f"  {prompt.upper()} \n") for prompt in train} == {"train"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_another_seed_gives_other_problems(environment: str) -> None:
    assert problems(environment, 30, 5, "train", EASY) != problems(environment, 30, 6, "train", EASY)
    record = problems(environment, 1, 5, "train", EASY)[0].to_record()
    assert verify(record, record["solution"]).score == 1.0


@pytest.mark.parametrize("environment", ENVIRONMENT_NAMES)
@settings(max_examples=40, deadline=None)
@given(completion=COMPLETIONS, place=st.integers(0, 19))
def test_any_text_gets_a_score(environment: str, completion: str, place: int) -> None:
    for level in (1, 2):
        problem = problems(environment, 20, 0, "train", replace(EASY, difficulty=level))[place]
        verdict = verify(problem, completion)
        assert 0.0 <= verdict.score <= 1.0
        assert verdict.reason
        assert verdict == verify(problem, completion)


def test_an_unknown_environment_and_a_broken_record_are_errors() -> None:
    with pytest.raises(ConfigError, match="poetry"):
        problems("poetry", 1, 0, "train", EASY)
    with pytest.raises(DataError, match="answer"):
        verify({"domain": "math", "prompt": "What is 1 + 1?", "spec": "{}"}, "2")
    with pytest.raises(DataError, match="not JSON"):
        verify({"domain": "math", "prompt": "", "answer": "2", "spec": "{"}, "2")
    with pytest.raises(ConfigError, match=r"^problems\.difficulty=4: set at most 3$"):
        build(ProblemConfig, {"difficulty": 4, "assistant": "Ada"}, "problems")


def identity_problems(count: int) -> tuple[list[Problem], list[Problem]]:
    """Questions for the name, and openings that ask for none."""
    drawn = problems("identity", count, 0, "train", ProblemConfig(difficulty=1, assistant="Ada Two"))
    return [each for each in drawn if each.answer], [each for each in drawn if not each.answer]


def test_the_name_is_the_one_configured() -> None:
    problem = identity_problems(20)[0][0]
    assert verify(problem, "I am Ada Two.").score == 1.0
    assert verify(problem, "I am Ada.").score == 0.0
    assert verify(problem, "I am ChatGPT, not Ada Two.").score == 0.0


def test_whoever_says_hello_is_not_told_the_name() -> None:
    questions, openings = identity_problems(100)
    assert 0.3 < len(openings) / (len(questions) + len(openings)) < 0.7
    for problem in openings:
        for text in (
            "I am Ada Two.",
            "Hello! I am Ada Two. How can I help?",
            "I am Claude. Hello!",
            "It is a fish.",
            "hi " * 99,
        ):
            assert verify(problem, text).score == 0.0, (problem, text)
        assert verify(problem, "Hello! What do you need?").score == 1.0
    for problem in questions:
        assert verify(problem, "Hello! How can I help?").score == 0.0
