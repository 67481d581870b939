"""Whether two mathematical expressions are equal, decided by math-verify in a child process that can be killed.

math-verify's own time limit is an alarm signal, which works in the main thread alone.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pipeline.environments import workers
from pipeline.environments.extraction import behind_cue, boxed, denied, sentences, unfenced

MAX_EXPRESSION_CHARACTERS = 2_000
"""Longest reference, and the most of a completion's end that is read."""

_DELIMITED = re.compile(r"\$[^$]|\\\(|\\\[|\\boxed\b")
_FORMULA = re.compile(r"\$\$?([^$]+)\$|\\\((.*?)\\\)|\\\[(.*?)\\\]", re.DOTALL)
_REMARK = re.compile(r"\s\([^()]*[A-Za-z]{3,}[^()]*\)\.?\s*$")
_ASCII = str.maketrans({"²": "^2", "³": "^3", "×": "*", "·": "*", "−": "-"})
_MATHEMATICAL = re.compile(
    r"[^A-Za-z]*(?:(?:[A-Za-z]{1,2}|sin|cos|tan|log|exp|sqrt)(?![A-Za-z])[^A-Za-z]*)*",
)
_SHORT_WORDS = frozenset({"is", "a", "so", "it", "to", "of", "be", "we", "by", "in", "as", "or", "an", "at", "i"})


def equivalent(reference: str, text: str) -> bool | None:
    """Whether the expression that a text ends with equals the reference; None if that took too much time or memory.

    Raises:
        RuntimeError: if the child process does not start.
    """
    if len(reference) > MAX_EXPRESSION_CHARACTERS:
        return False
    final = final_expression(text)
    if final is None:
        return False
    if workers.in_child:
        return compare(reference, final)
    try:
        return workers.workers().call(
            "pipeline.environments.expressions:compare_limited", reference, final, workers.CPU_SECONDS
        )
    except workers.CallError:
        return None


def is_delimited(text: str) -> bool:
    """Whether a text has expressions in signs of LaTeX."""
    return bool(_DELIMITED.search(text))


def final_expression(text: str) -> str | None:
    """The end of a text as math-verify reads expressions, in signs of LaTeX; None if it has none.

    It is the last line with such signs and what follows it, else what follows "the answer is", else the last "=", else
    the end or the beginning of the last sentence as far as it is made of numbers, signs and variables.
    """
    if is_delimited(text):
        end = _end(text).translate(_ASCII)
        start = max((found.start() for found in _FORMULA.finditer(end)), default=0)
        return None if denied(end[max(0, start - 40) : start]) or not bare(end).strip() else end
    text = unfenced(text)
    line = behind_cue(text) or (sentences(text) or [""])[-1]
    line = _REMARK.sub("", line).strip(" *_`").removesuffix(".").strip(" *_`").translate(_ASCII)
    expression = line.rpartition("=")[2].strip() if "=" in line else _run(line)
    start = line.rfind(expression) if expression else 0
    if denied(line[max(0, start - 40) : start]):
        return None
    return f"${expression}$" if expression and len(expression) <= MAX_EXPRESSION_CHARACTERS else None


def bare(expression: str) -> str:
    """What `final_expression` gave without the text and the signs around its last box or formula."""
    if (box := boxed(expression)) is not None:
        return box.rpartition("=")[2]
    formulas = _FORMULA.findall(expression)
    return next(filter(None, formulas[-1]), "").rpartition("=")[2] if formulas else expression


def _end(text: str) -> str:
    if len(text) <= MAX_EXPRESSION_CHARACTERS:
        return text
    end = text[-MAX_EXPRESSION_CHARACTERS:]
    if _DELIMITED.search(end) and (boxed(text) is None or boxed(end) is not None):
        # From the beginning of a line, so that signs that come in pairs do.
        return end.partition("\n")[2] if "\n" in end and _DELIMITED.search(end.partition("\n")[2]) else end
    return f"\\boxed{{{(boxed(text) or '')[:MAX_EXPRESSION_CHARACTERS]}}}"


def _run(line: str) -> str:
    """The words at the end of a line, else at its beginning, that look like parts of an expression."""
    tokens = line.split()

    def mathematical(token: str) -> bool:
        return bool(_MATHEMATICAL.fullmatch(token)) and token.casefold().strip(".,:") not in _SHORT_WORDS

    last = next((place for place in range(len(tokens), 0, -1) if not mathematical(tokens[place - 1])), 0)
    first = next((place for place, token in enumerate(tokens) if not mathematical(token)), len(tokens))
    return " ".join(tokens[last:] or tokens[:first])


@cache
def _library() -> Any:
    """math-verify, imported and used once, as its first use builds tables."""
    import math_verify

    with_boxes_first = (math_verify.LatexExtractionConfig(boxed_match_priority=0), math_verify.ExprExtractionConfig())

    def parse(text: str) -> Any:
        return math_verify.parse(text, with_boxes_first, parsing_timeout=0)

    def verify(gold: Any, answer: Any) -> bool:
        return bool(math_verify.verify(gold, answer, timeout_seconds=None))

    verify(parse("$x^2 + 1$"), parse("$1 + x^2$"))
    return parse, verify


def compare_limited(reference: str, text: str, cpu_seconds: float) -> bool:
    """In a child process: what `compare` gives, within limits."""
    _library()
    with workers.limited(cpu_seconds):
        return compare(reference, text)


def compare(reference: str, text: str) -> bool:
    """Whether the expressions of two texts are equal, as math-verify reads them, without a limit of its own.

    Args:
        reference: an expression, or a text with one in signs of LaTeX.
        text: likewise.
    """
    with workers.unlimited():
        parse, verify = _library()
    gold = parse(reference) if is_delimited(reference) else parse(f"${reference}$")
    return verify(gold or parse(f"${reference}$"), parse(text))
