"""Numbers in free text: which one a text gives as its answer, and the exact value of it.

`1,234`, `1 234`, `\\frac{5}{6}`, `2 1/2`, `0,75`, `75%`, `$12`, `6.5 km/h`, `1.5 x 10^3` are read; what has more than
MAX_DIGITS is not, since such a text is noise, and turning it into an integer is slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from pipeline.environments.extraction import (
    MAX_FINAL_CHARACTERS,
    behind_cue,
    bold,
    boxed,
    conclusion,
    denied,
    sentences,
    statements,
)

MAX_DIGITS = 40
MAX_SENTENCE_CHARACTERS = 2_000
"""The most of a sentence's end that is looked at."""
MAX_EXPONENT = 99
"""Largest power of ten of a number in scientific notation."""
APPROXIMATE_PLACES = 4
"""Decimal places from which a rounded number counts as the number that it rounds, such as 0.8333 for 5/6."""

_NUMERAL = re.compile(
    r"(?<![\w^.])(?P<sign>[-+]\s?)?(?<!\d)"
    r"(?:(?P<whole>\d+)[ ](?=\d+/\d))?"
    r"(?P<digits>\d{1,3}(?:[ ,'\u00a0\u2009\u202f]\d{3}){1,12}(?!\d)(?:\.\d+)?|\d+,\d{1,2}(?![\d,])|0,\d+|\d*\.\d+|\d+)"
    r"(?:/(?P<below>\d+))?"
    r"(?:[eE](?P<power>[-+]?\d{1,3})(?!\w)|\s*[*x×]\s*10\s*\^\s*\{?(?P<exponent>[-+]?\d{1,3})\}?)?"
    r"(?P<percent>\s*(?:%|percent\b|pct\b))?",
    flags=re.ASCII,
)
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))", flags=re.ASCII)
_STYLED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_REPLACED = {
    r",\!": ",", "{,}": ",", r"\!": "", r"\left": "", r"\right": "", r"\displaystyle": "", r"\%": "%", r"\$": "",
    "$": "", r"\,": " ", r"\;": " ", r"\:": " ", "~": " ", r"\times": "*", r"\cdot": "*", r"\div": "/",
    r"\approx": "≈", r"\simeq": "≈", "→": "=", "->": "=", r"\(": " ", r"\)": " ", r"\[": " ", r"\]": " ",
    r"^\circ": " ", r"^{\circ}": " ", "−": "-", "–": "-", "€": "", "£": "", "¥": "", "*": "*",
}  # fmt: skip
_REPLACE = re.compile("|".join(map(re.escape, sorted(_REPLACED, key=len, reverse=True))))
_CLOSED_FORM = re.compile(r"\\(?:[dtc]?frac|sqrt|pi|log|ln|exp|sin|cos|tan|sum|prod|d?binom|pm)\b")
"""What makes a number of several ones, which is for whoever can compute."""
_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_BETWEEN_ALTERNATIVES = re.compile(r"[\s\w%/*,]{0,20}\bor\b[\s*]*(?:[A-Za-z]\s*=\s*)?", flags=re.ASCII)
_NUMBER_FIRST = re.compile(r"\W*$")
_IS_THE = re.compile(r"[\s\w%/*]{0,20}?\b(?:is|are|equals)\s+(?:the|what|your|my|how)\b", flags=re.ASCII)
_OPERATION = re.compile(r"\s*[-+*/×÷]\s*[\d(]")
_PLAIN_BOX = re.compile(r"(?:[A-Za-z][\w' ]*(?:[=:]|\bis\b)\s*)?[\s*]*(?P<numeral>[-+.\d].*)", flags=re.DOTALL)
_UNIT = re.compile(r"[\s*]*(?:[A-Za-z°µ][\w/^.*·²³ -]*)?[\s*.]*", flags=re.ASCII)


@dataclass(frozen=True)
class Numeral:
    """A number as a text has it."""

    value: Fraction
    """What is written, without the percent sign: 75 for 75%."""
    percent: bool = False
    places: int = 0
    """Decimal places that are written."""


def as_number(text: str) -> Fraction | None:
    """The exact value of a text that is a number and nothing else, without the percent sign; None for any other."""
    found = as_numeral(text)
    return found.value if found else None


def as_numeral(text: str) -> Numeral | None:
    """A text that is a number and nothing else, or with a sign of money or percent; None for any other."""
    if len(text) > 2 * MAX_DIGITS:
        return None
    text = plain(text).strip()
    match = _NUMERAL.fullmatch(text)
    return _value(match) if match else None


def plain(text: str) -> str:
    """A text without the signs of LaTeX that numbers are written with, its simple fractions as 5/6."""
    if "\\" in text:
        text = _STYLED.sub(r" \1 ", text)
        text = _FRACTION.sub(lambda found: f" {found[1] or found[2]}/{found[3] or found[4]} ", text)
    text = _REPLACE.sub(lambda found: _REPLACED[found.group()], text)
    return re.sub(r"-\s+(?=\d+/\d)", "-", text) if "/" in text else text


def final_numerals(text: str) -> list[Numeral]:
    """The number that a text gives as its answer, or those that it leaves open ("7 or 8"); empty if it gives none.

    A box is it alone: what is no plain number there, such as a root, is for whoever can compute. Then comes what
    follows "the answer is", a number in bold at the end, and the end of the text: there what follows the last "=", or
    what "is the ...", or the last number. Remarks in parentheses do not count beside a number.
    """
    if (box := boxed(text)) is not None:
        match = _PLAIN_BOX.fullmatch(_without_remarks(plain(box[:MAX_FINAL_CHARACTERS])).strip())
        numeral = _NUMERAL.match(match["numeral"]) if match else None
        if match is None or numeral is None or not _UNIT.fullmatch(match["numeral"][numeral.end() :]):
            return []
        value = _value(numeral)
        return [value] if value else []
    if (line := behind_cue(text)) is not None:
        if _CLOSED_FORM.search(stretch := plain(line).rpartition("=")[2]):
            return []
        if found := _of_stretch(plain(line), behind_cue=True):
            return found
    stated = set(statements(text))
    for sentence in reversed(sentences(text)):
        # "12 -> ?" is none of the questions that do not count: what stands before the arrow is read.
        if sentence not in stated and not any(sign in sentence for sign in ("=", "->", "→")):
            continue
        sentence = sentence[-MAX_SENTENCE_CHARACTERS:]
        if not _NUMERAL.search(stretch := plain(sentence)):
            continue
        if _CLOSED_FORM.search(stretch.rpartition("=")[2]):
            return []
        for marked in reversed(bold(sentence)):
            if _PLAIN_BOX.fullmatch(plain(marked)) and not marked.endswith((".", ")", ":")):
                return _of_stretch(plain(marked), behind_cue=True)
        if found := _of_stretch(stretch, behind_cue=False):
            return found
    return []


def same_number(gold: Numeral, found: Numeral) -> bool:
    """Whether two numbers are equal, exactly; 50% is also .5, and a number of four places and more may be rounded."""
    if gold.value == found.value:
        return True
    if gold.percent != found.percent and gold.value * 100 ** (not gold.percent) == found.value * 100**gold.percent:
        return True
    scale = 10**found.places
    return (
        found.places >= APPROXIMATE_PLACES
        and (gold.value * scale).denominator != 1
        and round(gold.value * scale) == found.value * scale
    )


def _value(match: re.Match[str]) -> Numeral | None:
    if len(match.group()) > MAX_DIGITS:
        return None
    digits = re.sub(r"[ '\u00a0\u2009\u202f]", "", match["digits"])
    # A comma before three digits divides thousands, any other is a decimal comma.
    decimal_comma = re.fullmatch(r"\d+,\d{1,2}|0,\d+", digits)
    digits = digits.replace(",", "." if decimal_comma else "")
    below = int(match["below"] or 1)
    power = int(match["power"] or match["exponent"] or 0)
    if not below or abs(power) > MAX_EXPONENT:
        return None
    value = (int(match["whole"] or 0) + Fraction(digits) / below) * Fraction(10) ** power
    sign = -1 if (match["sign"] or "").startswith("-") else 1
    return Numeral(sign * value, bool(match["percent"]), len(digits.partition(".")[2]))


def _without_remarks(stretch: str) -> str:
    """The text without parentheses, if a number is left."""
    without = _REMARK.sub(" ", stretch)
    return without if _NUMERAL.search(without) else stretch


def _of_stretch(stretch: str, behind_cue: bool) -> list[Numeral]:
    """The number that a sentence gives, and those that it joins to it by "or"."""
    stretch = _without_remarks(stretch)
    if not behind_cue and _NUMERAL.search(concluded := conclusion(stretch)):
        stretch = concluded
    exact, _, _ = stretch.rpartition("≈")
    # 1/3 = 0.33 when rounded; 70 / 9 is still to be computed.
    if as_numeral(exact.rpartition("=")[2].strip(" *_")):
        stretch = exact
    *before, last = stretch.replace("≈", "=").split("=")
    first = False
    if before and _NUMERAL.search(last):
        start = _NUMERAL.search(last)
        assert start is not None
        turned = as_numeral(before[-1].strip(" *_"))
        # 72 = 48 + 24 gives 72.
        if turned is not None and _OPERATION.match(last[start.end() :]):
            return [turned]
        stretch, first = last, True
    matches = [
        match
        for match in _NUMERAL.finditer(stretch)
        if _value(match) and not denied(stretch[max(0, match.start() - 40) : match.start()])
    ]
    if not matches:
        return []
    place = len(matches) - 1
    if first or behind_cue:
        place = place if _OPERATION.match(stretch[matches[0].end() :]) else 0
    elif _NUMBER_FIRST.match(stretch[: matches[0].start()]) and _IS_THE.match(stretch[matches[0].end() :]):
        place = 0
    found = [place]
    while found[0] and _joined(stretch, matches, found[0] - 1):
        found.insert(0, found[0] - 1)
    while found[-1] + 1 < len(matches) and _joined(stretch, matches, found[-1]):
        found.append(found[-1] + 1)
    return [value for each in found if (value := _value(matches[each]))]


def _joined(stretch: str, matches: list[re.Match[str]], place: int) -> bool:
    between = stretch[matches[place].end() : matches[place + 1].start()]
    return bool(_BETWEEN_ALTERNATIVES.fullmatch(between[-40:])) and len(between) <= 40
