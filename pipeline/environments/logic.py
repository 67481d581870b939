"""`logical_reasoning`: truth values, or from difficulty 2 the first or last of a chain of comparisons."""

from __future__ import annotations

import itertools
import random

from pipeline.environments.answers import grade_choice
from pipeline.environments.problem import JSON, Environment, Problem, ProblemConfig, Verdict

_TRUTH = {True: "True", False: "False"}
_BOOLEAN_QUESTIONS = ("{}?", "Is it true: {}?", "True or false: {}?", "Decide: {}.", "Evaluate {}.")
_NAMES = ("Tom", "Ann", "Bob", "Sue", "Max", "Eve", "Ben", "Kim")
_RELATIONS = (("older", "younger"), ("taller", "shorter"), ("faster", "slower"), ("richer", "poorer"))


def _boolean(draw: random.Random) -> Problem:
    values = (draw.random() < 0.5, draw.random() < 0.5)
    negated = (draw.random() < 0.3, draw.random() < 0.3)
    pairs = list(zip(values, negated, strict=True))
    terms = [("not " if flip else "") + str(value).lower() for value, flip in pairs]
    first, second = (value != flip for value, flip in pairs)
    operator = draw.choice(("and", "or"))
    truth = (first and second) if operator == "and" else (first or second)
    prompt = draw.choice(_BOOLEAN_QUESTIONS).format(f"{terms[0]} {operator} {terms[1]}")
    spec: dict[str, JSON] = {"candidates": [*_TRUTH.values()]}
    return Problem("logical_reasoning", prompt, _TRUTH[truth], f"{_TRUTH[truth]}.", spec)


def _chain(draw: random.Random, length: int) -> Problem:
    order = draw.sample(_NAMES, length)
    more, less = draw.choice(_RELATIONS)
    facts = [
        f"{high} is {more} than {low}." if draw.random() < 0.5 else f"{low} is {less} than {high}."
        for high, low in itertools.pairwise(order)
    ]
    draw.shuffle(facts)
    asked, answer = draw.choice(((more, order[0]), (less, order[-1])))
    prompt = f"{' '.join(facts)} Who is {asked} than everyone else?"
    solution = f"{answer} is {asked} than everyone else."
    return Problem("logical_reasoning", prompt, answer, solution, {"candidates": [*sorted(order)]})


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    if problem_config.difficulty == 1:
        return _boolean(draw)
    return _chain(draw, 3 if problem_config.difficulty == 2 else draw.randint(4, len(_NAMES)))


def _grade(problem: Problem, completion: str) -> Verdict:
    return grade_choice(problem, completion)


ENVIRONMENT = Environment("logical_reasoning", _generate, _grade)
