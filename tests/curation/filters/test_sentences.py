"""Sentences are counted as datatrove counts them."""

from datatrove.utils.text import split_into_sentences
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.curation.filters.sentences import count_sentences

PIECES = [
    "a",
    "Word",
    "e.g.",
    "U.S.",
    "3.5",
    ".",
    "..",
    "...",
    "!",
    "?",
    "?!",
    '"',
    ")",
    "(",
    "'s",
    "。",
    "—",
    "$",
    "%",
    "-",
]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(["", "", " ", " ", "  ", "\t", "\xa0"])), max_size=20)
)
def test_pieces_of_sentences(pieces: list[tuple[str, str]]) -> None:
    line = "".join(piece + space for piece, space in pieces)
    assert count_sentences(line, "eng") == len(split_into_sentences(line, "eng"))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text(line: str) -> None:
    assert count_sentences(line, "eng") == len(split_into_sentences(line, "eng"))


def test_another_language() -> None:
    line = "Das ist z. B. ein Satz. Und das? Auch!"
    assert count_sentences(line, "deu") == len(split_into_sentences(line, "deu")) == 3
