"""Problems with known answers: which of two numbers is larger.

A configuration names it `my_environment:ENVIRONMENT`: conversations for SFT, prompts for reinforcement learning and
questions for an evaluation are then drawn from it.
"""

import random

from pipeline.environments.problem import RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

NAME = "my_environment:ENVIRONMENT"


def generate(draw: random.Random, config: ProblemConfig) -> Problem:
    """One problem. All that is random comes from `draw`, so that the same seed gives the same problems."""
    first, second = draw.sample(range(10 ** (config.difficulty + 1)), 2)
    answer = str(max(first, second))
    return Problem(NAME, f"Which is larger, {first} or {second}?", answer, solution=answer, spec={})


def grade(problem: Problem, completion: str) -> Verdict:
    """What a completion is worth, whatever text it is; the solution above must be right."""
    said = completion.strip().rstrip(".")
    if not said.isdecimal():
        return malformed("no number")
    return RIGHT if said == problem.answer else WRONG


ENVIRONMENT = Environment(NAME, generate, grade)
