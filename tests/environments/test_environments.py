"""What holds for every environment: problems are pure functions and split, verifiers are total and bounded."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.config import build
from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import ENVIRONMENT_NAMES, Problem, ProblemConfig, problems, split_of, verify
from tests.clock import assert_bounded_time
from tests.settings import EASY

LEVELS = (1, 2, 3)

# Text that looks like answers, mixed with anything at all: what reaches the deeper lines of a verifier.
FRAGMENTS = st.sampled_from(
    ["7", "-3", "1/0", "9" * 5000, "= 7", '{"name": "Tom", "age": 7}', "[" * 50, "NaN", "1e999", "x^2",
     "SELECT name FROM pets", "SELECT 9223372036854775808", "\\boxed{7}", "Monday", "I do not know.",
     "I am Fivephase.", "\x00", "\ud800"]
)  # fmt: skip
COMPLETIONS = st.one_of(
    st.text(max_size=200),
    st.lists(st.one_of(FRAGMENTS, st.text(max_size=10)), max_size=6).map(" ".join),
)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("environment", ENVIRONMENT_NAMES)
def test_the_solution_scores_one(environment: str, level: int) -> None:
    for split in ("train", "held_out"):
        for problem in problems(environment, 40, seed=3, split=split, problem_config=replace(EASY, difficulty=level)):
            verdict = verify(problem, problem.solution)
            assert (verdict.score, verdict.in_format) == (1.0, True), (problem, verdict)


@pytest.mark.parametrize("environment", ENVIRONMENT_NAMES)
def test_train_and_held_out_share_no_prompt(environment: str) -> None:
    train = {problem.prompt for problem in problems(environment, 600, 0, "train", EASY)}
    held_out = {problem.prompt for problem in problems(environment, 200, 1, "held_out", EASY)}
    assert len(held_out) >= 8, "too few held-out prompts to measure anything"
    assert not train & held_out
    assert {split_of(prompt) for prompt in held_out} == {"held_out"}
    assert {split_of(f"  {prompt.upper()} \n") for prompt in train} == {"train"}


@pytest.mark.parametrize("environment", ENVIRONMENT_NAMES)
def test_problems_are_a_pure_function(environment: str) -> None:
    assert problems(environment, 30, 5, "train", EASY) == problems(environment, 30, 5, "train", EASY)
    assert problems(environment, 10, 5, "train", EASY) == problems(environment, 30, 5, "train", EASY)[:10]
    assert problems(environment, 30, 5, "train", EASY) != problems(environment, 30, 6, "train", EASY)


@pytest.mark.parametrize("environment", ENVIRONMENT_NAMES)
def test_records_go_through_json(environment: str) -> None:
    for problem in problems(environment, 5, 0, "train", replace(EASY, difficulty=2)):
        record = json.loads(json.dumps(problem.to_record()))
        assert Problem.from_record(record) == problem
        assert verify(record, problem.solution).score == 1.0


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


@pytest.mark.parametrize("environment", ENVIRONMENT_NAMES)
def test_nothing_and_too_much_score_zero(environment: str) -> None:
    problem = problems(environment, 1, 0, "held_out", EASY)[0]
    for completion in ("", " \n", "a " * 100_000, "[" * 60_000):

        def judge(completion: str = completion) -> None:
            assert verify(problem, completion).score == 0.0

        assert_bounded_time(judge)
    assert not verify(problem, "").in_format


def test_an_unknown_environment_and_a_broken_record_are_errors() -> None:
    with pytest.raises(ConfigError, match="poetry"):
        problems("poetry", 1, 0, "train", EASY)
    with pytest.raises(DataError, match="answer"):
        verify({"domain": "math", "prompt": "What is 1 + 1?", "spec": "{}"}, "2")
    with pytest.raises(DataError, match="not JSON"):
        verify({"domain": "math", "prompt": "", "answer": "2", "spec": "{"}, "2")
    with pytest.raises(ConfigError, match=r"^problems\.difficulty=4: set at most 3$"):
        build(ProblemConfig, {"difficulty": 4, "assistant": "Ada"}, "problems")


def test_the_name_is_the_one_configured() -> None:
    problem = problems("identity", 1, 0, "train", ProblemConfig(difficulty=1, assistant="Ada Two"))[0]
    assert verify(problem, "I am Ada Two.").score == 1.0
    assert verify(problem, "I am Ada.").score == 0.0
    assert verify(problem, "I am ChatGPT, not Ada Two.").score == 0.0
