"""What replies earn that need no knowledge: no more than a stated ceiling in each environment.

`python -m tests.environments.test_trivial_responders` measures them and prints the table of docs/environments.md.
"""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from statistics import fmean

import pytest

from pipeline.environments import Problem, ProblemConfig, problems, verify_all
from tests import ROOT

PROBLEMS = 100
Responder = Callable[[Problem], str]


def candidates(problem: Problem) -> list[str]:
    listed = problem.spec.get("candidates")
    if isinstance(listed, list):
        return list(map(str, listed))
    if problem.spec.get("exact"):
        return [problem.answer, "He" if problem.answer != "He" else "H"]
    if problem.spec.get("date"):
        return [problem.answer, "2000-02-29"]
    return [problem.answer, *(last_number(problem.prompt) + digit for digit in "12")]


def other(problem: Problem) -> str:
    return next(each for each in candidates(problem) if each != problem.answer)


def named_in(prompt: str, listed: list[str]) -> str:
    """The candidate that a prompt names last."""
    return max(listed, key=lambda each: prompt.casefold().rfind(each.casefold()))


def last_number(text: str) -> str:
    return (re.findall(r"\d+", text) or [""])[-1]


RESPONDERS: dict[str, Responder] = {
    "the prompt": lambda problem: problem.prompt,
    "the prompt in a box": lambda problem: f"\\boxed{{{problem.prompt}}}",
    "all candidates": lambda problem: ", ".join(candidates(problem)) if problem.spec.get("candidates") else "",
    "one of the prompt": lambda problem: (
        named_in(problem.prompt, candidates(problem)) if problem.spec.get("candidates") else ""
    ),
    "both answers": lambda problem: f"{problem.answer} or {other(problem)}",
    "denied": lambda problem: f"It is not {problem.answer}.",
    "abstaining": lambda problem: "I do not know.",
    "last number": lambda problem: last_number(problem.prompt),
    "prompt, number": lambda problem: f"{problem.prompt} {last_number(problem.prompt)}",
}
CONSTANT = "best constant"
"""The reply to one problem that earns most on all: the floor above which training begins to have taught something."""

CEILINGS: dict[tuple[str, int], dict[str, float]] = {
    ("math", 1): {CONSTANT: 0.14},
    ("math", 2): {CONSTANT: 0.06},
    ("math", 3): {CONSTANT: 0.06},
    ("science", 1): {CONSTANT: 0.36, "one of the prompt": 0.25},
    ("science", 2): {CONSTANT: 0.22, "one of the prompt": 0.15},
    ("science", 3): {CONSTANT: 0.06},
    ("logical_reasoning", 1): {CONSTANT: 0.62, "one of the prompt": 0.6},
    ("logical_reasoning", 2): {CONSTANT: 0.2, "one of the prompt": 0.32},
    ("logical_reasoning", 3): {CONSTANT: 0.22, "one of the prompt": 0.24},
    ("instruction_following", 1): {CONSTANT: 0.36, "abstaining": 0.2, "the prompt in a box": 0.12},
    ("instruction_following", 2): {CONSTANT: 0.32},
    ("instruction_following", 3): {CONSTANT: 0.55},
    ("temporal_reasoning", 1): {CONSTANT: 0.14},
    ("temporal_reasoning", 2): {CONSTANT: 0.12},
    ("temporal_reasoning", 3): {CONSTANT: 0.12},
    ("in_context_learning", 1): {"one of the prompt": 0.6},
    ("in_context_learning", 2): {CONSTANT: 0.25, "one of the prompt": 0.3},
    ("in_context_learning", 3): {CONSTANT: 0.08},
}
"""By environment and difficulty, what a responder may earn on average; one that is not named, NOTHING."""
NOTHING = 0.1


@cache
def earned(environment: str, difficulty: int) -> dict[str, float]:
    """The mean score of each responder over problems of an environment."""
    config = ProblemConfig(difficulty=difficulty, assistant="Ada")
    asked = problems(environment, PROBLEMS, 0, "train", config)

    def score(reply: Responder) -> float:
        return fmean(each.score for each in verify_all(asked, [reply(problem) for problem in asked]))

    common = [text for text, _ in Counter(each.solution for each in asked).most_common(8)]
    constant = max(score(lambda problem, text=text: text) for text in common)
    return {CONSTANT: constant, **{name: score(reply) for name, reply in RESPONDERS.items()}}


@pytest.mark.parametrize(
    ("environment", "difficulty"),
    # Polynomials are compared by algebra.
    [pytest.param(*each, marks=pytest.mark.slow if each == ("math", 3) else ()) for each in CEILINGS],
)
def test_no_trivial_responder_earns_more_than_its_ceiling(environment: str, difficulty: int) -> None:
    found = earned(environment, difficulty)
    ceilings = CEILINGS[environment, difficulty]
    above = {name: score for name, score in found.items() if score > ceilings.get(name, NOTHING)}
    assert not above, f"{environment} at difficulty {difficulty}: {above}"


def table() -> str:
    """The measured scores in Markdown."""
    names = [CONSTANT, *RESPONDERS]
    lines = [f"| environment | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for environment, difficulty in CEILINGS:
        found = earned(environment, difficulty)
        cells = " | ".join(f"{found[name]:.2f}".removeprefix("0") for name in names)
        lines.append(f"| `{environment}` {difficulty} | {cells} |")
    return "\n".join(lines)


@pytest.mark.slow
def test_the_documentation_has_the_measured_table() -> None:
    assert table() in (ROOT / "docs" / "environments.md").read_text()


if __name__ == "__main__":
    print(table())
