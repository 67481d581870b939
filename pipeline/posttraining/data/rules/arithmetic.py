"""Calculations in replies: what is stated as an equation of numbers has to be true.

Only what is certain is judged. An equation with letters, powers, percent, a remainder or another base, with mixed
numbers or two divisions, one that a sentence denies or supposes, and a result that is rounded, is left alone.
"""

from __future__ import annotations

import re
from fractions import Fraction

from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.code import without_code
from pipeline.posttraining.data.rules.violation import Violation, replies_of

NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,9})?"
_OPERATORS = {
    "+": "+", "-": "-", "−": "-", "–": "-", "*": "*", "×": "*", "·": "*", "x": "*", "\\times": "*", "\\cdot": "*",
    "/": "/", "÷": "/", "\\div": "/",
}  # fmt: skip
_OPERATOR = r"[ \t]*(?:[-+*/×÷·−–]|\\times|\\cdot|\\div|(?<=[ \t])x(?=[ \t]))[ \t]*"
EQUATION = re.compile(
    rf"(?<![\w.,$€£^%)\]}}/*+·×÷:\\−–-])[$€£]?(?P<left>{NUMBER}(?:{_OPERATOR}[$€£]?{NUMBER}){{1,8}})"
    rf"[ \t]*=[ \t]*[$€£]?(?P<right>[-−]?{NUMBER})(?![\w^%]|[.,]\d)"
)
_TOKEN = re.compile(rf"{NUMBER}|\\times|\\cdot|\\div|[-+*/×÷·−–x]")
_BEFORE = re.compile(r"(?:[-+*/×÷·−–^(<>≈√]|\b(?:and|times|plus|minus|by|over|of|mod|[A-Za-z])|\d,?)[ \t]*[$€£]?\Z")
_BULLET = re.compile(r"(?:^|\n)[ \t]*[-*+–][ \t]+\Z")
_AFTER = re.compile(r"[ \t]*(?:[-+*/×÷·−–^%!(\\°²³¢\d]|(?:cents?|mod|modulo|rem|remainder|r|R|with a remainder|x)\b)")
_NOT_STATED = re.compile(
    r"\b(?:not|never|isn't|doesn't|wrong|incorrect|false|mistake|error|if|suppose|assume|pretend|instead|would|binary"
    r"|octal|hexadecimal|base|mod|modulo|clock|about|approximately|roughly|round|rounded|estimate)\b|[≈≠?]",
    re.IGNORECASE,
)


def check_arithmetic(conversation: Conversation) -> Violation | None:
    """Rejects a reply that states a false equation of numbers, such as `12 * 3 = 38`."""
    for reply in replies_of(conversation):
        if (found := false_equation(without_code(reply))) is not None:
            return Violation("arithmetic", "states a false equation", *found)
    return None


def false_equation(text: str) -> tuple[str, str] | None:
    """The first equation of a text that is certainly false, and the value that its left side has."""
    for found in EQUATION.finditer(text):
        before, after = text[: found.start()][-80:], text[found.end() :][:80]
        if _AFTER.match(after) or (_BEFORE.search(before) and not _BULLET.search(before)):
            continue
        sentence = re.split(r"[.!?]\s|\n", before)[-1] + found[0] + re.split(r"[.!]\s|\n", after)[0]
        if _NOT_STATED.search(sentence):
            continue
        value = _value(found["left"])
        stated = found["right"].replace("−", "-")
        if value is not None and _is_plain(found[0]) and not _agree(value, stated, found["left"]):
            shown = str(value) if value.denominator == 1 else f"{float(value):.6g}"
            return found[0], shown
    return None


def _is_plain(equation: str) -> bool:
    """Whether it can mean one thing only: no fraction of a fraction, no number that begins with zeros, such as 0730."""
    divisions = sum(equation.count(sign) for sign in ("/", "÷", "\\div"))
    return divisions < 2 and not any(re.match(r"0\d", token) for token in _TOKEN.findall(equation))


def _value(expression: str) -> Fraction | None:
    """The value of numbers joined by operators, products first; None for a division by zero."""
    tokens = _TOKEN.findall(expression)
    terms = [_number(tokens[0])]
    for sign, token in zip(tokens[1::2], tokens[2::2], strict=True):
        number = _number(token)
        match _OPERATORS[sign]:
            case "+":
                terms.append(number)
            case "-":
                terms.append(-number)
            case "*":
                terms[-1] *= number
            case _ if not number:
                return None
            case _:
                terms[-1] /= number
    return sum(terms, Fraction(0))


def _agree(value: Fraction, stated: str, left: str) -> bool:
    """Whether a stated result is the value, or the value rounded or cut to as many places as it has."""
    right = _number(stated)
    places = len(stated.partition(".")[2])
    exact = not places and "." not in left and not any(sign in left for sign in ("/", "÷", "\\div"))
    return right == value if exact else abs(right - value) < Fraction(1, 10**places)


def _number(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))
