"""`math`: sums, then short chains of operations, then fractions and polynomials, by difficulty."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.environments.answers import OUT_OF_TIME, as_number, grade_number
from pipeline.environments.expressions import bare, equivalent, final_expression
from pipeline.environments.extraction import reply
from pipeline.environments.problem import JSON, RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

_QUESTIONS = (
    "What is {}?",
    "Compute {}.",
    "Calculate {}.",
    "How much is {}?",
    "Solve {}.",
    "{} = ?",
    "{} is?",
    "{}?",
    "Work out {}.",
    "Tell me {}.",
    "Give me {}.",
    "Find {}.",
    "Please solve {}.",
    "What do you get for {}?",
    "What does {} make?",
    "The value of {}?",
)


@dataclass(frozen=True)
class _Numbers:
    """What the numbers of a task are drawn from, each range with its smallest and its largest."""

    new_sums: bool = False
    """Whether sums are those that no training has."""
    subtracted: tuple[int, int] = (0, 99)
    factor: tuple[int, int] = (2, 12)
    added: tuple[int, int] = (1, 99)
    denominators: Sequence[int] = range(2, 13)
    """All that may be."""
    root: tuple[int, int] = (1, 12)


LARGEST_ADDEND = 15
NEW_SUMS = 5
"""Of the sums of difficulty 1 every so many-th is one of new instances alone."""


_TRAINED = _Numbers()
_NEW = _Numbers(
    new_sums=True, subtracted=(100, 999), factor=(13, 19), added=(100, 199),
    denominators=(13, 17, 19), root=(13, 24),
)  # fmt: skip
"""Every task has a number that is in none of the trained tasks of its kind, but for sums: their numbers are all
trained on, not these two together."""


def _sum(draw: random.Random, numbers: _Numbers) -> tuple[str, str, str]:
    first, second = draw.randint(0, LARGEST_ADDEND), draw.randint(0, LARGEST_ADDEND)
    while ((first + 2 * second) % NEW_SUMS == 0) != numbers.new_sums:
        second = draw.randint(0, LARGEST_ADDEND)
    return f"{first} + {second}", str(first + second), str(first + second)


def _difference(draw: random.Random, numbers: _Numbers) -> tuple[str, str, str]:
    second, answer = draw.randint(*numbers.subtracted), draw.randint(0, 99)
    return f"{second + answer} - {second}", str(answer), str(answer)


def _chain(draw: random.Random, numbers: _Numbers) -> tuple[str, str, str]:
    first, second, third = draw.randint(*numbers.factor), draw.randint(*numbers.factor), draw.randint(*numbers.added)
    product = first * second
    return (
        f"{first} * {second} + {third}",
        str(product + third),
        f"{first} * {second} = {product}, and {product} + {third} = {product + third}",
    )


def _fractions(draw: random.Random, numbers: _Numbers) -> tuple[str, str, str]:
    first = Fraction(draw.randint(1, 11), draw.choice(numbers.denominators))
    second = Fraction(draw.randint(1, 11), draw.choice(numbers.denominators))
    return f"{first} + {second}", str(first + second), f"The sum is {first + second}"


def _polynomial(draw: random.Random, numbers: _Numbers) -> tuple[str, str, str]:
    first, second = draw.randint(*numbers.root), draw.randint(*numbers.root)
    answer = f"x^2 + {first + second}*x + {first * second}"
    return f"(x + {first}) * (x + {second}), expanded", answer, f"(x + {first}) * (x + {second}) = {answer}"


_Kind = Callable[[random.Random, _Numbers], tuple[str, str, str]]
_KINDS: dict[int, tuple[_Kind, ...]] = {
    1: (_sum,),
    2: (_difference, _chain),
    3: (_chain, _fractions, _polynomial),
}


def _generate(draw: random.Random, problem_config: ProblemConfig, numbers: _Numbers = _TRAINED) -> Problem:
    kind = draw.choice(_KINDS[problem_config.difficulty])
    task, answer, solution = kind(draw, numbers)
    spec: dict[str, JSON] = {"expanded": True} if kind is _polynomial else {}
    return Problem("math", draw.choice(_QUESTIONS).format(task), answer, solution, spec)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _generate(draw, problem_config, _NEW)


def _grade(problem: Problem, completion: str) -> Verdict:
    # A number is compared as a number: exact, and thousands of times cheaper than a computer algebra system.
    if as_number(problem.answer) is not None:
        return grade_number(completion, problem.answer, problem.prompt)
    text = reply(completion, problem.prompt)
    expression = final_expression(text)
    if expression is None:
        return malformed("no expression")
    if bare(expression).strip() == problem.answer:
        return RIGHT
    # Equal to the answer is the question as well.
    if problem.spec.get("expanded") and "(" in bare(expression):
        return Verdict(0.0, "not expanded")
    same = equivalent(problem.answer, text)
    return OUT_OF_TIME if same is None else RIGHT if same else WRONG


ENVIRONMENT = Environment("math", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
