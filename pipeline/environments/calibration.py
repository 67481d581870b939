"""`calibration`: half of the questions can be answered, half cannot, and the right reply to those says so."""

from __future__ import annotations

import random

from pipeline.environments.answers import DOES_NOT_KNOW, abstains, candidates, grade_choice, words
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

ABSTENTION_SCORE = 0.5
"""Score of "I do not know" where an answer exists: between wrong (0) and right (1), the shape of the reward in
NeMo Gym's abstention environment."""

_COLORS = {
    "grass": "green", "snow": "white", "coal": "black", "milk": "white", "blood": "red", "the sky": "blue",
    "a leaf": "green", "the sun": "yellow", "a crow": "black", "a lemon": "yellow", "a tomato": "red",
    "the sea": "blue",
}  # fmt: skip
_OBJECTS = ("hat", "car", "door", "coat", "bag", "bike", "house", "cup", "dress", "pen", "shirt", "chair")
_QUESTIONS = ("What colour is {}?", "Which colour is {}?", "Tell me the colour of {}.", "{}: which colour?")


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    question = draw.choice(_QUESTIONS)
    if draw.random() < 0.5:
        thing = draw.choice(tuple(_COLORS))
        answer, solution = _COLORS[thing], f"It is {_COLORS[thing]}."
    else:
        owners = ("my",) if problem_config.difficulty == 1 else ("my", "my neighbour's", "the next visitor's")
        owner = draw.choice(owners)
        thing = f"{owner} {draw.choice(_OBJECTS)}"
        answer, solution = "", DOES_NOT_KNOW
    colors: list[JSON] = [*sorted(set(_COLORS.values()))]
    return Problem("calibration", question.format(thing), answer, solution, {"candidates": colors})


def _grade(problem: Problem, completion: str) -> Verdict:
    said = words(completion)
    if not said:
        return malformed("no words")
    unsure = abstains(completion)
    if unsure and candidates(problem) & set(said):
        return Verdict(0.0, "both answers and abstains")
    if problem.answer:
        if unsure:
            return Verdict(ABSTENTION_SCORE, "abstains where an answer is known")
        return grade_choice(problem, completion)
    return RIGHT if unsure else Verdict(0.0, "answers what cannot be known")


ENVIRONMENT = Environment("calibration", _generate, _grade)
