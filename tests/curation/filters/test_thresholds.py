"""Every threshold, with a document just on each side of it from a family of documents."""

from collections.abc import Callable
from typing import Any

import pytest
from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult
from pipeline.curation.filters import filter_of
from pipeline.curation.filters.gopher_repetition import DUPLICATE_N_GRAMS, TOP_N_GRAMS
from pipeline.curation.recipes.steps import STEPS

NAMES = [f"{a}{b}{c}{d}" for a in "bdfgklmn" for b in "aeiou" for c in "bdfgklmn" for d in "aeiou"]
"""1,600 words of four letters, all different."""
STOP = "the of"


def prose(words: int) -> str:
    """So many words on one line, two of them stop words, none repeated."""
    return " ".join([*STOP.split(), *NAMES[: words - 2]])


def lines(total: int, special: int, mark: Callable[[int], str]) -> str:
    """Lines of five words, the first `special` of them marked."""
    texts = [" ".join(NAMES[5 * place : 5 * place + 5]) for place in range(total)]
    return "\n".join(mark(place) if place < special else texts[place] for place in range(total)) + f"\n{STOP}"


NO_N_GRAMS = {"top_n_grams": {2: 9.0}, "duplicate_n_grams": {5: 9.0}}

CASES: dict[str, tuple[str, dict[str, Any], Callable[[int], str], int, int]] = {
    # name: step, settings, family, the last member rejected, the first one kept
    "gopher_short_doc": ("gopher_quality", {}, prose, 49, 50),
    "gopher_long_doc": ("gopher_quality", {"maximum_words": 300}, lambda n: prose(n), 301, 300),
    "gopher_below_avg_threshold": (
        "gopher_quality", {}, lambda n: f"{STOP} " + "ab " * (60 - n) + "abcd " * n, 30, 31,
    ),
    "gopher_above_avg_threshold": (
        "gopher_quality", {}, lambda n: f"{STOP} " + "a" * 10 + " " + "abcdefghijk " * n + "abcdefghij " * 60, 16, 15,
    ),
    "gopher_too_many_hashes": ("gopher_quality", {}, lambda n: prose(90) + " #" * n, 11, 10),
    "gopher_too_many_ellipsis": ("gopher_quality", {}, lambda n: "… " * n + prose(90), 11, 10),
    "gopher_too_many_bullets": (
        "gopher_quality", {}, lambda n: lines(19, n, lambda at: "- " + " ".join(NAMES[5 * at : 5 * at + 5])), 19, 18,
    ),
    "gopher_too_many_end_ellipsis": (
        "gopher_quality", {}, lambda n: lines(19, n, lambda at: " ".join(NAMES[5 * at : 5 * at + 5]) + " …"), 7, 6,
    ),
    "gopher_below_alpha_threshold": ("gopher_quality", {}, lambda n: prose(80) + " 12345" * (100 - n), 79, 80),
    "gopher_enough_stop_words": (
        "gopher_quality", {}, lambda n: " ".join([*["the", "of", "and"][:n], *NAMES[:60]]), 1, 2,
    ),
    "dup_para_frac": (
        "gopher_repetition",
        {"duplicate_paragraph_characters": 1.0, "duplicate_lines": 1.0, "duplicate_line_characters": 1.0, **NO_N_GRAMS},
        lambda n: "\n\n".join([*["bab"] * (n + 1), *NAMES[8 : 17 - n]]), 4, 3,
    ),
    "dup_line_frac": (
        "gopher_repetition", {"duplicate_line_characters": 1.0, **NO_N_GRAMS},
        lambda n: "\n".join([*["bab"] * (n + 1), *NAMES[8 : 17 - n]]), 4, 3,
    ),
    "dup_line_char_frac": (
        "gopher_repetition", {"duplicate_lines": 1.0, "duplicate_paragraphs": 1.0, **NO_N_GRAMS},
        lambda n: "\n".join(["x" * 20, "x" * 20, "y" * n]), 57, 58,
    ),
    "dup_para_char_frac": (
        "gopher_repetition",
        {"duplicate_lines": 1.0, "duplicate_paragraphs": 1.0, "duplicate_line_characters": 1.0, **NO_N_GRAMS},
        lambda n: "\n\n".join(["x" * 20, "x" * 20, "y" * n]), 55, 56,
    ),
    "too_few_sentences": ("c4", {}, lambda n: "This is one sentence. " * n, 4, 5),
    "line_punct_ratio": (
        "fineweb_quality", {"maximum_short_lines": None}, lambda n: lines(99, n, lambda at: f"{NAMES[at]} and others."),
        11, 12,
    ),
    "short_line_ratio": (
        "fineweb_quality", {"maximum_newlines_per_word": 9.0},
        lambda n: "\n".join(f"{at:03d}{'x' * (26 if at < n else 27)}." for at in range(100)), 68, 67,
    ),
    "char_dup_ratio": (
        "fineweb_quality", {"maximum_newlines_per_word": 9.0},
        lambda n: "\n".join([("a" * 49 + ".")] * 2 + ["b" * n + "."]), 398, 399,
    ),
    "list_ratio": (
        "fineweb_quality", {"maximum_short_lines": None},
        lambda n: "\n".join(f"{name}." for name in NAMES[:31]) + " bab" * n, 37, 38,
    ),
    "too_few_paragraphs": ("mc4_paragraphs", {}, lambda n: "\n".join([*["x" * 200] * 2, "y" * n]), 199, 200),
    "removed_words": (
        "refinedweb_lines", {},
        lambda n: "\n".join([*["these are words that one may read today"] * n, "Home", "About"]), 4, 5,
    ),
    "few_letters": ("code_rules", {}, lambda n: "a" * n + "1" * (100 - n), 24, 25),
    "page_shows_little": (
        "code_rules", {}, lambda n: f"<html><body><p>{'x' * n}</p></body></html>", 99, 100,
    ),
    "page_is_markup": (
        "code_rules", {}, lambda n: f"<html><body><p>{'x' * 100}</p><!--{'y' * (360 + n)}--></body></html>", 1, 0,
    ),
}  # fmt: skip


def result_of(step: str, settings: dict[str, Any], text: str) -> FilterResult:
    """The result of a step's filter for a text, as if it came from a page or a source file."""
    document_filter = filter_of(STEPS[step](step=step, **settings))  # type: ignore[call-arg]
    return document_filter(Document(text, "0", metadata={"origin": "page.html" if "<html>" in text else "file.py"}))


@pytest.mark.parametrize("reason", CASES)
def test_both_sides_of_a_threshold(reason: str) -> None:
    step, settings, family, rejected, kept = CASES[reason]
    removal = result_of(step, settings, family(rejected)).removal
    assert removal is not None
    assert removal.reason == reason
    assert removal.value is not None
    assert removal.threshold is not None
    result = result_of(step, settings, family(kept))
    assert result.removal is None, result.removal
    check = next(check for check in result.checks if check.reason == reason)
    assert check.threshold == removal.threshold
    # The limit lies between the two, or on the one that is kept.
    low, high = sorted((removal.value, check.value))
    assert low <= removal.threshold <= high
    assert removal.value != removal.threshold


@pytest.mark.parametrize(
    ("kind", "n"), [("top", n) for n in TOP_N_GRAMS] + [("duplicate", n) for n in DUPLICATE_N_GRAMS]
)
def test_both_sides_of_an_n_gram_threshold(kind: str, n: int) -> None:
    """Between copies of a phrase stand more and more words that come once."""
    published = {"top": TOP_N_GRAMS, "duplicate": DUPLICATE_N_GRAMS}[kind]
    settings = {**NO_N_GRAMS, f"{kind}_n_grams": {n: published[n]}}
    phrase = " ".join(NAMES[1590 : 1590 + n])
    found = {}
    for others in range(10, 400):
        chunks = [" ".join(NAMES[place:others:6]) for place in range(6)]
        found[others] = result_of("gopher_repetition", settings, " ".join(f"{each} {phrase}" for each in chunks))
        if found[others].removal is None:
            break
    removal = found[others - 1].removal
    assert removal is not None
    assert removal.reason == (f"top_{n}_gram" if kind == "top" else f"duplicated_{n}_n_grams")
    check = next(check for check in found[others].checks if check.reason == removal.reason)
    assert removal.threshold == published[n]
    assert check.value <= published[n] < (removal.value or 0) < published[n] * 1.1
