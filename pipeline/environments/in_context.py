"""`in_context_learning`: a code that the prompt explains, or at difficulty 3 a rule to infer from examples."""

from __future__ import annotations

import random

from pipeline.environments.answers import grade_choice, grade_number
from pipeline.environments.problem import Environment, Problem, ProblemConfig, Verdict

_WORDS = ("cat", "dog", "cow", "hen", "fox", "pig")
_CODES = ("red", "blue", "green", "black", "white", "pink")
_QUESTIONS = ("What is {}?", "So {} is?", "And {}?", "Then {}?")


def _code(draw: random.Random, pairs: int, kinds: int) -> Problem:
    words, codes = _WORDS[:kinds], _CODES[:kinds]
    given = list(zip(draw.sample(words, pairs), draw.sample(codes, pairs), strict=True))
    word, answer = draw.choice(given)
    told = ". ".join(f"{left} is {right}" for left, right in given)
    prompt = f"{told}. {draw.choice(_QUESTIONS).format(word)}"
    return Problem("in_context_learning", prompt, answer, answer, {"candidates": list(_CODES)})


def _rule(draw: random.Random) -> Problem:
    factor, offset = draw.randint(1, 5), draw.randint(0, 9)
    inputs = draw.sample(range(1, 20), 4)
    told = ", ".join(f"{value} -> {factor * value + offset}" for value in inputs[:3])
    answer = str(factor * inputs[3] + offset)
    prompt = f"{told}, {inputs[3]} -> ?"
    return Problem("in_context_learning", prompt, answer, f"{inputs[3]} -> {answer}", {"numeric": True})


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    if problem_config.difficulty == 3:
        return _rule(draw)
    if problem_config.difficulty == 2:
        return _code(draw, pairs=draw.randint(3, 6), kinds=6)
    return _code(draw, pairs=2, kinds=3)


def _grade(problem: Problem, completion: str) -> Verdict:
    if problem.spec.get("numeric"):
        return grade_number(completion, problem.answer, problem.prompt)
    return grade_choice(problem, completion)


ENVIRONMENT = Environment("in_context_learning", _generate, _grade)
