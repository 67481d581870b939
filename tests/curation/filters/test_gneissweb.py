"""GneissWeb's filter: a document just on each side of every limit, within the four categories and outside of them."""

from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import BertPreTokenizer

from pipeline.core.errors import DataError
from pipeline.curation.audit.filter_result import FilterResult
from pipeline.curation.filters import filter_of
from pipeline.curation.filters.extreme_tokenized import CHUNK_CHARACTERS, tokens_per_character
from pipeline.curation.filters.readability import eflaw
from pipeline.curation.recipes.steps.classifiers import ExtremeTokenized, GneissWeb, Readability

CATEGORIES = ("science", "education", "technology", "medical")
NO_SCORES = {"dclm": 0.5, "cosmo": 0.5, **dict.fromkeys(CATEGORIES, 0.0)}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tokenizer with one token per word and one per mark."""
    made = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = BertPreTokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return str(path)


def sentence(words: int, tokens: int, characters: int) -> str:
    """One sentence of so many words of four letters, and marks that only the tokenizer counts.

    It has so many tokens and characters, and its EFLAW is the number of words.
    """
    text = " ".join(["abcd"] * words) + "-" * (tokens - words)
    assert len(text) <= characters, (len(text), characters)
    return text + " " * (characters - len(text))


@pytest.mark.parametrize(
    ("text", "score"),
    [
        # Six words, all of at most three letters, one sentence: (6 + 6) / 1.
        ("The cat sat on the mat.", 12),
        # Two sentences of six words, five and two of them mini-words: (12 + 7) / 2.
        ("The dog ran to the forest. Every morning people walk to it.", 9.5),
        # Sentences of one or two words are none; there is at least one: (4 + 4) / 1.
        ("It is. A dog!", 8),
        # Punctuation is taken out, not made white space: three words, one mini-word.
        ("Well-known don't (so)!", 4),
        # An ellipsis ends one sentence.
        ("Many people waited... Nobody came home.", 3),
        ("no full stop at all", 8),
        ("", 0),
        ("?!... -- !!", 0),
    ],
)
def test_eflaw_by_hand(text: str, score: float) -> None:
    assert eflaw(text) == score


@given(st.text(st.sampled_from("ab .!?\n'-é1"), max_size=60))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_eflaw_is_bounded_by_the_words(text: str) -> None:
    assert 0 <= eflaw(text) <= 2 * len(text.split())


def test_longer_sentences_read_worse() -> None:
    words = ["quite", "readable", "ordinary", "language"]
    scores = [eflaw((" ".join(words * length) + ". ") * 5) for length in (1, 2, 4, 8)]
    assert scores == [4, 8, 16, 32]


def test_tokens_are_counted_in_chunks(tokenizer: str) -> None:
    measure = tokens_per_character(tokenizer)
    assert measure("") == 0
    assert measure("ab cd ef gh ij ") == round(5 / 15, 6)
    # A word across the border of two chunks is two tokens.
    text = "a" * (CHUNK_CHARACTERS + 5)
    assert measure(text) == round(2 / len(text), 6)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="not a tokenizer"):
        tokens_per_character(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match="no such file"):
        tokens_per_character(str(tmp_path / "none.json"))


def test_readability_alone() -> None:
    document_filter = filter_of(Readability(step="readability"))
    document = Document(text=sentence(29, 29, 200), id="0", metadata={})
    assert document_filter(document).removal is None
    assert document.metadata == {"eflaw": 29}
    removal = document_filter(Document(text=sentence(30, 30, 200), id="0", metadata={})).removal
    assert removal is not None
    assert (removal.reason, removal.value, removal.threshold) == ("eflaw", 30, 30)


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [(219, "few_tokens_per_character"), (220, None), (280, None), (281, "many_tokens_per_character")],
)
def test_tokens_per_character_alone(tokenizer: str, tokens: int, reason: str | None) -> None:
    document_filter = filter_of(ExtremeTokenized(step="extreme_tokenized", tokenizer=tokenizer))
    document = Document(text=sentence(20, tokens, 1000), id="0", metadata={})
    removal = document_filter(document).removal
    assert document.metadata == {"tokens_per_character": tokens / 1000}
    if reason is None:
        assert removal is None
    else:
        assert removal is not None
        assert (removal.reason, removal.value) == (reason, tokens / 1000)


def result_of(tokenizer: str, text: str, scores: dict[str, float], **changes: Any) -> FilterResult:
    """The result of the filter for a text with these scores."""
    step = GneissWeb(step="gneissweb", tokenizer=tokenizer, **changes)
    return filter_of(step)(Document(text=text, id="0", metadata={"scores": {**NO_SCORES, **scores}}))


GOLDEN = {
    # name: words, tokens and characters of the text, scores; reason, value and limit of the removal, or None
    # Quality: above one of the two limits.
    "dclm at its limit": (20, 250, 1000, {"dclm": 0.002, "cosmo": 0}, ("score_dclm", 0.002, 0.002)),
    "dclm above": (20, 250, 1000, {"dclm": 0.002001, "cosmo": 0}, None),
    "cosmo at its limit": (20, 250, 1000, {"dclm": 0, "cosmo": 0.03}, ("score_cosmo", 0.03, 0.03)),
    "cosmo above": (20, 250, 1000, {"dclm": 0, "cosmo": 0.030001}, None),
    "quality does not depend on the category": (
        20, 250, 1000, {"dclm": 0, "cosmo": 0.03, "science": 1}, ("score_cosmo", 0.03, 0.03),
    ),
    # No category: readability below 30, or 0.22 to 0.28 tokens per character.
    "readable, few tokens": (29, 100, 1000, {}, None),
    "unreadable, tokens at the lower bound": (30, 220, 1000, {}, None),
    "unreadable, tokens below it": (30, 219, 1000, {}, ("eflaw", 30, 30)),
    "very unreadable, tokens below the bound": (60, 219, 1000, {}, ("few_tokens_per_character", 0.219, 0.22)),
    "unreadable, tokens at the upper bound": (60, 280, 1000, {}, None),
    "unreadable, tokens above it": (60, 281, 1000, {}, ("many_tokens_per_character", 0.281, 0.28)),
    # A category: readability below 70, or 0.10 to 0.50.
    "science, readable": (69, 80, 1000, {"science": 0.9}, None),
    "science, unreadable, tokens at the lower bound": (80, 100, 1000, {"science": 0.9}, None),
    "science, unreadable, tokens below it": (
        90, 99, 1000, {"science": 0.9}, ("few_tokens_per_character_of_category", 0.099, 0.1),
    ),
    "science, at the limit of readability": (70, 99, 1000, {"science": 0.9}, ("eflaw_of_category", 70, 70)),
    "science, unreadable, tokens at the upper bound": (90, 500, 1000, {"science": 0.9}, None),
    "science, unreadable, tokens above it": (
        90, 501, 1000, {"science": 0.9}, ("many_tokens_per_character_of_category", 0.501, 0.5),
    ),
    # Each category counts, from more than one half.
    **{f"{name} on top": (69, 80, 1000, {name: 0.500001}, None) for name in CATEGORIES},
    **{
        f"{name} not on top": (69, 80, 1000, {name: 0.5}, ("few_tokens_per_character", 0.08, 0.22))
        for name in CATEGORIES
    },
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_table(tokenizer: str, name: str) -> None:
    words, tokens, characters, scores, expected = GOLDEN[name]
    removal = result_of(tokenizer, sentence(words, tokens, characters), scores).removal
    found = None if removal is None else (removal.reason, removal.value, removal.threshold)
    assert found == expected


@given(
    st.fixed_dictionaries(dict.fromkeys(NO_SCORES, st.sampled_from([0, 0.001, 0.002, 0.01, 0.03, 0.1, 0.5, 0.6, 1]))),
    st.integers(3, 90),
    st.integers(0, 500),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_decision_is_the_published_formula(
    tokenizer: str, scores: dict[str, float], words: int, marks: int
) -> None:
    text = sentence(words, words + marks, 1000)
    category = any(scores[name] > 0.5 for name in CATEGORIES)
    quality = scores["dclm"] > 0.002 or scores["cosmo"] > 0.03
    readable = words < (70 if category else 30)
    low, high = (0.10, 0.50) if category else (0.22, 0.28)
    tokens = low <= (words + marks) / 1000 <= high
    result = result_of(tokenizer, text, scores)
    assert (result.removal is None) == (quality and (readable or tokens))
    if result.removal is None:
        assert result.checks
    else:
        assert result.removal.value is not None
        assert result.removal.threshold is not None
