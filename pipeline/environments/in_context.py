"""`in_context_learning`: a code that the prompt explains, or at difficulty 3 a rule to infer from examples."""

from __future__ import annotations

import random

from pipeline.environments.answers import grade_choice, grade_number
from pipeline.environments.easy_words import NEW_NOUNS, NEW_QUALITIES, NOUNS, QUALITIES, known_or_invented
from pipeline.environments.problem import JSON, Environment, Problem, ProblemConfig, Verdict

_WORDS = ("cat", "dog", "cow", "hen", "fox", "pig")
_CODES = ("red", "blue", "green", "black", "white", "pink")
_NEW_WORDS = ("owl", "bee", "ant", "rat", "bat", "elk")
_NEW_CODES = ("gray", "brown", "gold", "purple", "orange", "silver")
"""Of new instances alone."""
_QUESTIONS = ("What is {}?", "So {} is?", "And {}?", "Then {}?")
_MORE_QUESTIONS = (*_QUESTIONS, "Now {} is?", "Say what {} is.", "Tell me: {}?", "Which is {}?")
"""Those of difficulty 1."""


def _code(
    draw: random.Random,
    pairs: int,
    words: tuple[str, ...] = _WORDS,
    codes: tuple[str, ...] = _CODES,
    questions: tuple[str, ...] = _QUESTIONS,
    invented: bool = False,
    new: bool = False,
) -> Problem:
    named = draw.sample(words, pairs)
    meant = draw.sample(codes, pairs)
    if invented:
        named, meant = ([known_or_invented(draw, (word,), new) for word in those] for those in (named, meant))
        if len({*named, *meant}) < 2 * pairs:
            return _code(draw, pairs, words, codes, questions, invented, new)
    given = list(zip(named, meant, strict=True))
    word, answer = draw.choice(given)
    told = ". ".join(f"{left} is {right}" for left, right in given)
    # The first word has a space before it as all have: to a tokenizer the same word without one is another.
    prompt = f"Given: {told}. {draw.choice(questions).format(word)}"
    spec: dict[str, JSON] = {"candidates": [*sorted({*codes, *meant})]}
    return Problem("in_context_learning", prompt, answer, f"It is {answer}.", spec)


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
        return _code(draw, draw.randint(3, 6))
    return _code(draw, 2, NOUNS, QUALITIES, _MORE_QUESTIONS, invented=True)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    """Words and codes, or a factor and an offset, that no trained problem has."""
    if problem_config.difficulty == 3:
        return _rule(draw, factors=(6, 9), offsets=(10, 19))
    if problem_config.difficulty == 2:
        return _code(draw, draw.randint(3, 6), _NEW_WORDS, _NEW_CODES)
    return _code(draw, 2, NEW_NOUNS, NEW_QUALITIES, _MORE_QUESTIONS, invented=True, new=True)


def _grade(problem: Problem, completion: str) -> Verdict:
    if problem.spec.get("numeric"):
        return grade_number(completion, problem.answer, problem.prompt)
    return grade_choice(problem, completion)


ENVIRONMENT = Environment("in_context_learning", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
