"""calibration: answering what can be known, and saying so when something cannot be."""

from __future__ import annotations

import random

from pipeline.environments.answers import DOES_NOT_KNOW, abstains, candidates, grade_choice, words
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

ABSTAINS = 0.5
"""Credit for "I do not know" where an answer exists: between wrong (0) and right (1), the reward shape of
NeMo Gym's abstention environment."""

_COLOURS = {
    "grass": "green", "snow": "white", "coal": "black", "milk": "white", "blood": "red", "the sky": "blue",
    "a leaf": "green", "the sun": "yellow", "a crow": "black", "a lemon": "yellow", "a tomato": "red",
    "the sea": "blue",
}  # fmt: skip
_OBJECTS = ("hat", "car", "door", "coat", "bag", "bike", "house", "cup", "dress", "pen", "shirt", "chair")
_QUESTIONS = ("What colour is {}?", "Which colour is {}?", "Tell me the colour of {}.", "{}: which colour?")


def _generate(draw: random.Random, options: ProblemConfig) -> Problem:
    question = draw.choice(_QUESTIONS)
    if draw.random() < 0.5:
        thing = draw.choice(tuple(_COLOURS))
        answer, solution = _COLOURS[thing], f"It is {_COLOURS[thing]}."
    else:
        owners = ("my",) if options.difficulty == 1 else ("my", "my neighbour's", "the next visitor's")
        owner = draw.choice(owners)
        thing = f"{owner} {draw.choice(_OBJECTS)}"
        answer, solution = "", DOES_NOT_KNOW
    colours: list[JSON] = [*sorted(set(_COLOURS.values()))]
    return Problem("calibration", question.format(thing), answer, solution, {"candidates": colours})


def _grade(problem: Problem, completion: str) -> Verdict:
    said = words(completion)
    if not said:
        return malformed("no words")
    unsure = abstains(completion)
    if unsure and candidates(problem) & set(said):
        return Verdict(0.0, "both answers and abstains")
    if problem.answer:
        if unsure:
            return Verdict(ABSTAINS, "abstains where an answer is known")
        return grade_choice(problem, completion)
    return RIGHT if unsure else Verdict(0.0, "answers what cannot be known")


ENVIRONMENT = Environment("calibration", _generate, _grade)
