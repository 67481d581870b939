"""The fast tokenizer gives the words of datatrove's own."""

import inspect
import json

from datatrove.utils.word_tokenizers import SpaCyTokenizer
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curation.words import ChunkWords

TOKENIZER = SpaCyTokenizer("en")
FAST = ChunkWords(TOKENIZER)
PIECES = st.sampled_from(
    [
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
        "…",
        "it's",
        ":-)",
    ]
)


@given(st.lists(PIECES | st.text("ab .,'!?-\n", max_size=6), max_size=30))
def test_words_are_the_same(pieces: list[str]) -> None:
    for text in (" ".join(pieces), "".join(pieces)):
        assert FAST(text) == TOKENIZER.word_tokenize(text)


def test_words_of_code_are_the_same() -> None:
    text = inspect.getsource(json.JSONDecoder)
    assert FAST(text) == TOKENIZER.word_tokenize(text)
