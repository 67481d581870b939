"""How verifiers read an answer out of free text: words, numbers, one of several candidates, "I do not know"."""

from __future__ import annotations

import re
from fractions import Fraction

from pipeline.environments.problem import RIGHT, WRONG, Problem, Verdict, malformed

MAX_DIGITS = 40
"""Longest text that is read as a number: longer ones are noise, and turning them into integers is slow."""

DOES_NOT_KNOW = "I do not know."
"""How the training data of this project say that an answer is not known."""

_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+|/\d+)?(?![\w])")
_WORD = re.compile(r"[^\W\d_]+")


def words(text: str) -> list[str]:
    """The lower-case words of a text in order, without digits and punctuation."""
    return _WORD.findall(text.casefold())


def abstains(text: str) -> bool:
    """Whether the first 200 characters say that the answer is not known."""
    said = " ".join(words(text[:200]))
    return any(phrase in said for phrase in ("not know", "don t know", "not sure"))


def as_number(text: str) -> Fraction | None:
    """The exact value of an integer, decimal or fraction, or None for any other text."""
    text = text.strip().replace("−", "-").replace(",", "")
    if len(text) > MAX_DIGITS or not re.fullmatch(r"-?\d+(\.\d+|/\d+)?", text, flags=re.ASCII):
        return None
    numerator, _, denominator = text.partition("/")
    if denominator and not int(denominator):
        return None
    return Fraction(numerator) / int(denominator or 1)


def last_number(text: str) -> Fraction | None:
    """The exact value of the last number in a text, or None if it has none."""
    found = [value for value in map(as_number, _NUMBER.findall(text)) if value is not None]
    return found[-1] if found else None


def grade_number(completion: str, answer: str) -> Verdict:
    """Right if the last number of the completion equals the answer exactly: 10/12 is 5/6, and 7.0 is 7."""
    number = last_number(completion)
    if number is None:
        return malformed("no number")
    return RIGHT if number == as_number(answer) else WRONG


def candidates(problem: Problem) -> set[str]:
    """The answers that the problem lists as possible (`spec["candidates"]`), in lower case."""
    listed = problem.spec.get("candidates")
    return {str(each).casefold() for each in listed} if isinstance(listed, list) else set()


def grade_choice(problem: Problem, completion: str) -> Verdict:
    """Right if the answer is the only candidate that the completion names; one that names several is malformed."""
    named = candidates(problem) & set(words(completion))
    if len(named) != 1:
        return malformed("no candidate named" if not named else "several candidates named")
    return RIGHT if named == {problem.answer.casefold()} else WRONG


def unfenced(text: str) -> str:
    """The text without the Markdown code fence around it, if it has one."""
    text = text.strip()
    fence = re.fullmatch(r"```\w*\n(.*?)\n?```", text, flags=re.DOTALL)
    return fence.group(1).strip() if fence else text
