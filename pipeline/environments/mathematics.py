"""`math`: sums, then short chains of operations, then fractions and polynomials, by difficulty."""

from __future__ import annotations

import random
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


def _sum(draw: random.Random) -> tuple[str, str, str]:
    first, second = draw.randint(0, 4), draw.randint(0, 4)
    return f"{first} + {second}", str(first + second), str(first + second)


def _difference(draw: random.Random) -> tuple[str, str, str]:
    second, answer = draw.randint(0, 99), draw.randint(0, 99)
    return f"{second + answer} - {second}", str(answer), str(answer)


def _chain(draw: random.Random) -> tuple[str, str, str]:
    first, second, third = draw.randint(2, 12), draw.randint(2, 12), draw.randint(1, 99)
    product = first * second
    return (
        f"{first} * {second} + {third}",
        str(product + third),
        f"{first} * {second} = {product}, and {product} + {third} = {product + third}",
    )


def _fractions(draw: random.Random) -> tuple[str, str, str]:
    first = Fraction(draw.randint(1, 11), draw.randint(2, 12))
    second = Fraction(draw.randint(1, 11), draw.randint(2, 12))
    return f"{first} + {second}", str(first + second), f"The sum is {first + second}"


def _polynomial(draw: random.Random) -> tuple[str, str, str]:
    first, second = draw.randint(1, 12), draw.randint(1, 12)
    answer = f"x^2 + {first + second}*x + {first * second}"
    return f"(x + {first}) * (x + {second}), expanded", answer, f"(x + {first}) * (x + {second}) = {answer}"


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    kinds = {1: (_sum,), 2: (_difference, _chain), 3: (_chain, _fractions, _polynomial)}[problem_config.difficulty]
    kind = draw.choice(kinds)
    task, answer, solution = kind(draw)
    spec: dict[str, JSON] = {"expanded": True} if kind is _polynomial else {}
    return Problem("math", draw.choice(_QUESTIONS).format(task), answer, solution, spec)


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


ENVIRONMENT = Environment("math", _generate, _grade)
