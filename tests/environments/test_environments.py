"""Properties every environment has: problems are pure and held out, verifiers are total and bounded."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import DOMAINS, Problem, ProblemConfig, problems, split_of, verify
from tests.clock import assert_bounded_time

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
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_solution_scores_one(domain: str, level: int) -> None:
    for split in ("train", "held_out"):
        for problem in problems(domain, 40, seed=3, split=split, options=ProblemConfig(difficulty=level)):
            verdict = verify(problem, problem.solution)
            assert (verdict.score, verdict.in_format) == (1.0, True), (problem, verdict)


@pytest.mark.parametrize("domain", DOMAINS)
def test_train_and_held_out_share_no_prompt(domain: str) -> None:
    train = {problem.prompt for problem in problems(domain, 600, 0, "train")}
    held_out = {problem.prompt for problem in problems(domain, 200, 1, "held_out")}
    assert len(held_out) >= 8, "too few held-out prompts to measure anything"
    assert not train & held_out
    assert {split_of(prompt) for prompt in held_out} == {"held_out"}
    assert {split_of(f"  {prompt.upper()} \n") for prompt in train} == {"train"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_problems_are_a_pure_function(domain: str) -> None:
    assert problems(domain, 30, 5, "train") == problems(domain, 30, 5, "train")
    assert problems(domain, 10, 5, "train") == problems(domain, 30, 5, "train")[:10]
    assert problems(domain, 30, 5, "train") != problems(domain, 30, 6, "train")


@pytest.mark.parametrize("domain", DOMAINS)
def test_records_go_through_json(domain: str) -> None:
    for problem in problems(domain, 5, 0, "train", ProblemConfig(difficulty=2)):
        record = json.loads(json.dumps(problem.to_record()))
        assert Problem.from_record(record) == problem
        assert verify(record, problem.solution).score == 1.0


@pytest.mark.parametrize("domain", DOMAINS)
@settings(max_examples=40, deadline=None)
@given(completion=COMPLETIONS, place=st.integers(0, 19))
def test_any_text_gets_a_score(domain: str, completion: str, place: int) -> None:
    for level in (1, 2):
        problem = problems(domain, 20, 0, "train", ProblemConfig(difficulty=level))[place]
        verdict = verify(problem, completion)
        assert 0.0 <= verdict.score <= 1.0
        assert verdict.reason
        assert verdict == verify(problem, completion)


@pytest.mark.parametrize("domain", DOMAINS)
def test_nothing_and_too_much_score_zero(domain: str) -> None:
    problem = problems(domain, 1, 0, "held_out")[0]
    for completion in ("", " \n", "a " * 100_000, "[" * 60_000):

        def judge(completion: str = completion) -> None:
            assert verify(problem, completion).score == 0.0

        assert_bounded_time(judge)
    assert not verify(problem, "").in_format


def test_an_unknown_domain_and_a_broken_record_are_errors() -> None:
    with pytest.raises(ConfigError, match="poetry"):
        problems("poetry", 1, 0, "train")
    with pytest.raises(DataError, match="answer"):
        verify({"domain": "math", "prompt": "What is 1 + 1?", "spec": "{}"}, "2")
    with pytest.raises(DataError, match="not JSON"):
        verify({"domain": "math", "prompt": "", "answer": "2", "spec": "{"}, "2")
    with pytest.raises(ValueError, match="difficulty"):
        ProblemConfig(difficulty=4)


def test_the_name_is_the_one_configured() -> None:
    problem = problems("identity", 1, 0, "train", ProblemConfig(assistant="Ada Two"))[0]
    assert verify(problem, "I am Ada Two.").score == 1.0
    assert verify(problem, "I am Ada.").score == 0.0
    assert verify(problem, "I am ChatGPT, not Ada Two.").score == 0.0
