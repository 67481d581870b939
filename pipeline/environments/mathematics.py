"""`math`: sums, then short chains of operations, then fractions and polynomials, by difficulty."""

from __future__ import annotations

import random
import re
from fractions import Fraction

from pipeline.environments.answers import as_number, grade_number
from pipeline.environments.expressions import MAX_EXPRESSION_CHARACTERS, equivalent
from pipeline.environments.problem import RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

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
    task, answer, solution = draw.choice(kinds)(draw)
    return Problem("math", draw.choice(_QUESTIONS).format(task), answer, solution, {})


def final_expression(completion: str) -> str | None:
    """The final expression of a worked solution, or None if there is none.

    It is what stands in the last \\boxed{} (without braces inside), else what follows the last "=" of the last line,
    with at most MAX_EXPRESSION_CHARACTERS.
    """
    boxed = re.findall(r"\\boxed\{([^{}]*)\}", completion)
    if boxed:
        return boxed[-1].strip()
    lines = completion.strip().splitlines()
    expression = lines[-1].rpartition("=")[2].strip().rstrip(".") if lines else ""
    return expression if 0 < len(expression) <= MAX_EXPRESSION_CHARACTERS else None


def _grade(problem: Problem, completion: str) -> Verdict:
    # A number is compared as a number: exact, and thousands of times cheaper than a computer algebra system.
    if as_number(problem.answer) is not None:
        return grade_number(completion, problem.answer)
    expression = final_expression(completion)
    if expression is None:
        return malformed("no expression")
    if expression == problem.answer:
        return RIGHT
    same = equivalent(problem.answer, expression)
    if same is None:
        return Verdict(0.0, "the comparison ran out of time or memory")
    return RIGHT if same else WRONG


ENVIRONMENT = Environment("math", _generate, _grade)
