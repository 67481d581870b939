"""Texts that verifiers trip over: drawn at random from fragments that look like answers, nested, repeated, cut."""

from __future__ import annotations

import random

from pipeline.environments import Problem
from pipeline.environments.testing import HOSTILE

FRAGMENTS = (
    *HOSTILE, "\\boxed{", "}", "{", "\\{", "\\frac{1}{", "\\frac", "\\sqrt{2}", "9^{9^{9^{9}}}",
    "2^{2^{2^{2^{2^2}}}}", "$", "$$", "\\(", "\\)", "\\[", "\\]", "answer is ", "Answer: ", "#### ", "**", "__", "`",
    "```\n", "```json\n", "</think>", "<think>", "not ", "n't ", " or ", " so ", " is ", "= ", "≈", "->", "1,234,567",
    "1 000 000", "0,5", ".5", "5.", "-", "−7", "7/8", "1 1/2", "50%", "1e309", "1e-400", "1.5 x 10^99", "٣", "７", "²",
    "½", "Ⅷ", "𝟗", "٪", "\u202e", "\ufeff", "True", "False", "red", "Ann", "H", "He", "2021-02-30", "9999-99-99", "A",
    "B", "mammal", "sun", "sun\n", "!", "?", ".", ". ", ", ", "(", ")", "[", "]", "<<", ">>", "***", "******", "* ",
    "- ", "P.S.", "\n\n", "\t", "\x1b[31m", "é"*9, "a\u0301"*30, "\\text{", "\\begin{pmatrix}", "\\end{pmatrix}",
    "\\int_0^1", "\\sum_{n=1}^{10^9} n", "10^{10^{10}}!", "factorial(10**9)", "x"*50, "((((((((((", "[[[[[[[[[[",
    '{"a":'*9, "\\"*20, "I don't know", "\ud83d", "\udc00",
)  # fmt: skip
LENGTH = 65_000


def hostile_text(draw: random.Random) -> str:
    """A few fragments in nine of ten texts, else fragments repeated up to the longest text that is read."""
    parts = draw.choices(FRAGMENTS, k=draw.randint(1, 12))
    if draw.random() < 0.9:
        return draw.choice(("", " ", "\n")).join(parts)
    unit = "".join(parts[: draw.randint(1, 3)]) or "a"
    text = unit * (draw.randint(1_000, LENGTH) // len(unit))
    return draw.choice((text, text + parts[-1], parts[0] + text))[:LENGTH]


def _given(environment: str, answer: str, **spec: object) -> Problem:
    return Problem(environment, "What is it, then?", answer, answer, spec)  # pyright: ignore[reportArgumentType]


QUICK = {
    "math, numbers": _given("math", "7"),
    "science, words": _given("science", "mammal", candidates=["mammal", "bird", "fish", "insect"]),
    "science, symbols": _given("science", "He", exact=True),
    "science, quantities": _given("science", "5/6", numeric=True),
    "logical_reasoning": _given("logical_reasoning", "True", candidates=["True", "False"]),
    "temporal_reasoning, dates": _given("temporal_reasoning", "2021-03-01", date=True),
    "in_context_learning": _given("in_context_learning", "red", candidates=["red", "blue", "green"]),
    "instruction_following": _given("instruction_following", "sun", word="sun", count=2, ending="!", line_each=True),
    "number": _given("number", "1,234"),
    "exact_match": _given("exact_match", "Ann"),
    "choice": _given("choice", "A", candidates=["A", "B", "C"]),
    "json": _given("json", '{"a": 1}'),
    "instructions": _given("instructions", "", include=["sun"], maximum_words=9, lines=2),
    "ifeval": _given(
        "ifeval",
        "",
        instruction_id_list=[
            "keywords:existence", "keywords:forbidden_words", "language:response_language",
            "length_constraints:number_sentences", "length_constraints:number_paragraphs",
            "length_constraints:nth_paragraph_first_word", "detectable_content:number_placeholders",
            "detectable_content:postscript", "detectable_format:number_bullet_lists",
            "detectable_format:number_highlighted_sections", "detectable_format:multiple_sections",
            "detectable_format:json_format", "detectable_format:title", "combination:two_responses",
            "change_case:capital_word_frequency", "change_case:english_capital", "startend:quotation",
        ],
        kwargs=[
            {"keywords": ["sun"]}, {"forbidden_words": ["a", "b"]}, {"language": "en"},
            {"num_sentences": 3, "relation": "at least"}, {"num_paragraphs": 2},
            {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "sun"}, {"num_placeholders": 1},
            {"postscript_marker": "P.S."}, {"num_bullets": 2}, {"num_highlights": 2},
            {"section_spliter": "Section", "num_sections": 2}, {}, {}, {},
            {"capital_frequency": 3, "capital_relation": "at least"}, {}, {},
        ],
    ),
}  # fmt: skip
"""A problem for each verifier whose time is bounded by the text's length."""
ALGEBRA = _given("math", "x^2 + 1")
