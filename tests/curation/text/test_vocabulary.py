"""The fast tokenizer gives the same words as datatrove's tokenizers."""

import inspect
import itertools
import json
import re
import string
from collections.abc import Iterable
from typing import Any

import numpy
import pytest
from datatrove.utils.word_tokenizers import SpaCyTokenizer, load_word_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.curation.text import vocabulary as module
from pipeline.curation.text.english_words import (
    BEFORE_DOT,
    NO_PREFIX,
    NO_SUFFIX,
    PREFIXES,
    SEPARATOR,
    SUFFIXES,
    words_of_chunks,
)
from pipeline.curation.text.vocabulary import Vocabulary

TOKENIZER = SpaCyTokenizer("en")
KNOWN = Vocabulary("eng")
PIECES = st.sampled_from(
    [
        *(
            "don't",
            "U.S.",
            "(see",
            "x=1)",
            "...",
            "e.g.",
            "\n\n",
            "\t",
            "can't.",
            "'",
            "a/b",
            "§",
            "12:30",
            "C++",
            "--",
        ),
        *(
            "…",
            "it's",
            ":-)",
            "10km",
            "5kg.",
            "3m²",
            "$5",
            "5US$",
            "20°C.",
            "cannot,",
            "DOG's",
            "DOG’S",
            ".....",
            "ORTH",
        ),
        *(
            "http://a.b/c?d=e#f",
            "x_y(",
            "_z_",
            "1,000.5",
            "naïve).",
            "日本",
            "a.b.c",
            "99%",
            "ORTH",
            "_trig(func):",
            "f(x):",
            "x=''",
            "=D)",
            "<3.",
            "-" * 50,
            "x" * 60,
        ),
    ]
)


def words(known: Vocabulary, text: str) -> list[str]:
    """The words behind the numbers."""
    numbers = known.word_ids(text).tolist()
    by_number = {number: word for word, number in known._ids.items()}
    return [by_number[number] for number in numbers]


@given(st.lists(PIECES | st.text("ab1 .,'!?-_\n", max_size=6) | st.text(max_size=8), max_size=30))
@settings(deadline=None, max_examples=300)
def test_words_are_the_same(pieces: list[str]) -> None:
    for text in (" ".join(pieces), "".join(pieces)):
        if "IS_ALPHA" in text:  # datatrove's own way of taking it out is not ours
            text = text.replace("IS_ALPHA", "IS_ALPH")
        assert words(KNOWN, text) == words_without_neighbors(text)


def words_without_neighbors(text: str) -> list[str]:
    """spaCy's words; chunk by chunk where punctuation meets punctuation, which could be an exception to spaCy."""
    chunks = text.split()
    if all(one[-1].isalnum() or other[0].isalnum() for one, other in itertools.pairwise(chunks)):
        return TOKENIZER.word_tokenize(text)
    return [word for chunk in chunks for word in TOKENIZER.word_tokenize(chunk)]


def test_neighbors_do_not_change_the_words_of_a_chunk() -> None:
    for text in ("\"' ''1\"", ": (=1"):
        assert words(KNOWN, text) == words_without_neighbors(text) != TOKENIZER.word_tokenize(text)


def test_words_of_all_short_chunks_are_the_same() -> None:
    found = [
        "".join(letters) for length in (1, 2, 3, 4) for letters in itertools.product("aB1.,-+'~/$\"s=):", repeat=length)
    ]
    found += ["".join(letters) for letters in itertools.product(string.printable.strip(), repeat=2)]
    for start in range(0, len(found), 5000):
        text = f" {SEPARATOR} ".join(found[start : start + 5000])
        assert words(KNOWN, text) == TOKENIZER.word_tokenize(text)


def test_words_of_code_are_the_same() -> None:
    text = inspect.getsource(json.JSONDecoder) + inspect.getsource(numpy.unique)
    assert words(KNOWN, text) == TOKENIZER.word_tokenize(text)


def test_a_full_vocabulary_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Vocabulary("eng")
    text = " ".join(f"word{number}" for number in range(50))
    first = words(known, text)
    monkeypatch.setattr(module, "MOST_CHUNKS", 10)
    assert words(known, "other " + text) == ["other", *first]
    assert known.id_of("other") == 0, "it began again"


def test_other_languages_use_datatroves_tokenizers() -> None:
    text = "Die Straße ist lang. Sie führt z.B. nach Köln!"
    assert words(Vocabulary("deu"), text) == load_word_tokenizer("deu").word_tokenize(text)


def test_attributes_are_those_of_the_words() -> None:
    known = Vocabulary("eng")
    numbers = known.word_ids("Hello , 12 worlds …")
    assert known.lengths[numbers].tolist() == [5, 1, 2, 6, 1]
    assert known.symbols[numbers].tolist() == [False, True, False, False, True]
    assert known.with_letters[numbers].tolist() == [True, False, False, True, False]


def test_affixes_are_those_of_spacy() -> None:
    """Whatever two characters are beside them."""
    stock = TOKENIZER.tokenizer.tokenizer
    letters = [chr(point) for point in range(33, 127)]
    beside = ["", *letters, *map("".join, itertools.product(letters, repeat=2))]

    def always_one(found: Iterable[Any]) -> bool:
        return {match and match.end() - match.start() for match in found} == {1}

    prefixes = {each for each in letters if always_one(stock.prefix_search(each + after) for after in beside)}
    suffixes = {each for each in letters if always_one(stock.suffix_search(before + each) for before in beside)}
    before_dot = {
        each for each in letters if each != "." and always_one(stock.suffix_search(f"{one}{each}.") for one in beside)
    }
    no_prefix = {each for each in letters if not any(stock.prefix_search(each + after) for after in beside)}
    no_suffix = {each for each in letters if not any(stock.suffix_search(before + each) for before in beside)}
    # Letters begin currencies such as US$, and end units and `'s`, which are looked for.
    assert {each for each in letters if re.match(f"[{NO_PREFIX}]", each)} == no_prefix | set(string.ascii_letters)
    assert {each for each in letters if re.match(f"[{NO_SUFFIX}]", each)} == no_suffix | set(string.ascii_letters)
    assert prefixes == set(PREFIXES)
    assert suffixes == set(SUFFIXES)
    assert before_dot == BEFORE_DOT


def test_the_word_that_spacy_frees_too_early() -> None:
    """Fails without what keeps it: 1,200 other words take its place in memory before it comes again."""
    before, after = ([f"“{part}{number}" for number in range(500)] for part in "ab")
    words_of_chunks([*before, "“IS_ALPHA", *after])
    words_of_chunks([f"“c{number}" for number in range(1200)])
    assert words_of_chunks(["“IS_ALPHA”"]) == [["“", "IS_ALPHA", "”"]]
