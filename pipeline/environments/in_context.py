"""`in_context_learning`: a code that the prompt explains, or at difficulty 3 a rule to infer from examples."""

from __future__ import annotations

import random

from pipeline.environments.answers import grade_choice, grade_number
from pipeline.environments.problem import Environment, Problem, ProblemConfig, Verdict

_WORDS = ("cat", "dog", "cow", "hen", "fox", "pig")
_CODES = ("red", "blue", "green", "black", "white", "pink")
_NEW_WORDS = ("owl", "bee", "ant", "rat", "bat", "elk")
_NEW_CODES = ("gray", "brown", "gold", "purple", "orange", "silver")
"""Of new instances alone."""
_QUESTIONS = ("What is {}?", "So {} is?", "And {}?", "Then {}?")


def _code(
    draw: random.Random,
    pairs: int,
    kinds: int,
    all_words: tuple[str, ...] = _WORDS,
    all_codes: tuple[str, ...] = _CODES,
) -> Problem:
    words, codes = all_words[:kinds], all_codes[:kinds]
    given = list(zip(draw.sample(words, pairs), draw.sample(codes, pairs), strict=True))
    word, answer = draw.choice(given)
    told = ". ".join(f"{left} is {right}" for left, right in given)
    prompt = f"{told}. {draw.choice(_QUESTIONS).format(word)}"
    return Problem("in_context_learning", prompt, answer, answer, {"candidates": list(all_codes)})


def _rule(draw: random.Random, factors: tuple[int, int] = (1, 5), offsets: tuple[int, int] = (0, 9)) -> Problem:
    factor, offset = draw.randint(*factors), draw.randint(*offsets)
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


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    """Words and codes, or a factor and an offset, that no trained problem has."""
    if problem_config.difficulty == 3:
        return _rule(draw, factors=(6, 9), offsets=(10, 19))
    pairs = 2 if problem_config.difficulty == 1 else draw.randint(3, 6)
    return _code(draw, pairs, len(_NEW_WORDS), _NEW_WORDS, _NEW_CODES)


def _grade(problem: Problem, completion: str) -> Verdict:
    if problem.spec.get("numeric"):
        return grade_number(completion, problem.answer, problem.prompt)
    return grade_choice(problem, completion)


ENVIRONMENT = Environment("in_context_learning", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
