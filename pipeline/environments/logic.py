"""`logical_reasoning`: truth values, or from difficulty 2 the first or last of a chain of comparisons."""

from __future__ import annotations

import itertools
import random

from pipeline.environments.answers import grade_choice
from pipeline.environments.problem import JSON, Environment, Problem, ProblemConfig, Verdict

_TRUTH = {True: "True", False: "False"}
_BOOLEAN_QUESTIONS = ("{}?", "Is it true: {}?", "True or false: {}?", "Decide: {}.", "Evaluate {}.")
_NAMES = ("Tom", "Ann", "Bob", "Sue", "Max", "Eve", "Ben", "Kim")
_NEW_NAMES = ("Ida", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sven")
"""Of new instances alone."""
_RELATIONS = (("older", "younger"), ("taller", "shorter"), ("faster", "slower"), ("richer", "poorer"))


def _balanced(draw: random.Random, terms: int) -> Problem:
    """As many true as false ones: of more terms most conjunctions are false and most disjunctions true."""
    wanted = _TRUTH[draw.random() < 0.5]
    while (problem := _boolean(draw, terms)).answer != wanted:
        pass
    return problem


def _boolean(draw: random.Random, terms: int) -> Problem:
    values = [draw.random() < 0.5 for _ in range(terms)]
    negated = [draw.random() < 0.3 for _ in range(terms)]
    told = [("not " if flip else "") + str(value).lower() for value, flip in zip(values, negated, strict=True)]
    holds = [value != flip for value, flip in zip(values, negated, strict=True)]
    operator = draw.choice(("and", "or"))
    truth = all(holds) if operator == "and" else any(holds)
    prompt = draw.choice(_BOOLEAN_QUESTIONS).format(f" {operator} ".join(told))
    spec: dict[str, JSON] = {"candidates": [*_TRUTH.values()]}
    return Problem("logical_reasoning", prompt, _TRUTH[truth], f"{_TRUTH[truth]}.", spec)


def _chain(draw: random.Random, length: int, names: tuple[str, ...] = _NAMES) -> Problem:
    order = draw.sample(names, length)
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
        return _balanced(draw, draw.choice((1, 2, 2, 4)))
    return _chain(draw, 3 if problem_config.difficulty == 2 else draw.randint(4, len(_NAMES)))


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    """Three terms, where one, two and four are trained; people that no trained problem names."""
    if problem_config.difficulty == 1:
        return _balanced(draw, 3)
    return _chain(draw, 3 if problem_config.difficulty == 2 else draw.randint(4, len(_NEW_NAMES)), _NEW_NAMES)


def _grade(problem: Problem, completion: str) -> Verdict:
    return grade_choice(problem, completion)


ENVIRONMENT = Environment("logical_reasoning", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
