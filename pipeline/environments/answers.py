"""Verdicts on a number or on one of several candidates: extraction and comparison put together.

What environments need of the two halves has a name here as well.
"""

from __future__ import annotations

import re

from pipeline.environments.choices import chosen
from pipeline.environments.expressions import bare, equivalent, final_expression, is_delimited
from pipeline.environments.extraction import DOES_NOT_KNOW, abstains, is_another_form, reply, unfenced, words
from pipeline.environments.numerals import as_number, as_numeral, final_numerals, same_number
from pipeline.environments.problem import RIGHT, WRONG, Problem, Verdict, malformed

__all__ = [
    "DOES_NOT_KNOW", "OUT_OF_TIME", "abstains", "as_number", "candidates", "grade_choice", "grade_number", "unfenced",
    "words",
]  # fmt: skip

OUT_OF_TIME = malformed("the comparison ran out of time or memory")

MAX_CLOSED_FORM_CHARACTERS = 100
_UNEVALUATED = re.compile(r"[-+*/×÷!]|\\(?:times|cdot|div|sum|prod|int|d?binom|lim)\b|\^[^^]*\^")
"""Operations that a number may not leave undone: whoever copies the question into a box has not answered. Sums without
end and towers of powers are among them, which would keep the algebra system busy."""
_NEGATIVE = re.compile(r"^\s*-")
_FRACTION_BAR = re.compile(r"(?<=[\d}])\s*/\s*(?=[\d{\\])")


def grade_number(completion: str, answer: str, prompt: str = "") -> Verdict:
    """Right if the number that the completion gives equals the answer: 10/12 is 5/6, 7.0 is 7, 50% is .5.

    In LaTeX it may be a closed form such as \\sqrt{16}, but no sum or product that is left to the reader.
    """
    gold = as_numeral(answer)
    text = reply(completion, prompt)
    if is_another_form(text):
        return malformed("data or code, and no number alone")
    found = final_numerals(text)
    if gold is not None and found:
        return RIGHT if all(same_number(gold, each) for each in found) else WRONG
    expression = final_expression(text) if is_delimited(text) else None
    if expression is None:
        return malformed("no number")
    form = _FRACTION_BAR.sub("", _NEGATIVE.sub("", bare(expression)))
    if len(form) > MAX_CLOSED_FORM_CHARACTERS or _UNEVALUATED.search(form):
        return malformed("no number, but something to compute")
    same = equivalent(answer, text)
    return OUT_OF_TIME if same is None else RIGHT if same else WRONG


def candidates(problem: Problem) -> set[str]:
    """The answers that the problem lists as possible (`spec["candidates"]`), in lower case."""
    listed = problem.spec.get("candidates")
    return {str(each).casefold() for each in listed} if isinstance(listed, list) else set()


def grade_choice(problem: Problem, completion: str) -> Verdict:
    """Right if the answer is the only candidate that the completion settles on; one that names several is malformed."""
    text = reply(completion, problem.prompt)
    if is_another_form(text):
        return malformed("data or code, and no candidate alone")
    named = chosen(text, candidates(problem))
    if len(named) != 1:
        return malformed("no candidate named" if not named else "several candidates named")
    return RIGHT if named == {problem.answer.casefold()} else WRONG
