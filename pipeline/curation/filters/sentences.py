"""How many sentences a line has, in a fraction of spaCy's time: chunks of text come again."""

import re
from functools import lru_cache
from unicodedata import category

from datatrove.utils.text import split_into_sentences

from pipeline.curation.text.english_words import words_of_chunks
from pipeline.curation.text.vocabulary import ENGLISH

WHITE_SPACE = re.compile(r"\s{2,}|[^\S ]")
"""What is a word by itself to spaCy, of no other kind than any that is no punctuation."""
MOST_CHUNKS = 50_000
"""Chunks whose words are remembered."""
OTHER_WORD, PUNCTUATION, ENDS_SENTENCE = range(3)


def count_sentences(line: str, language: str) -> int:
    """As many sentences as datatrove divides a line into.

    In English that is spaCy's rule: after a word that ends a sentence, the next one that is no punctuation begins
    another.
    """
    if language != ENGLISH:
        return len(split_into_sentences(line, language))
    count, ended = 1, False
    for chunk in WHITE_SPACE.sub(" a ", line).split():
        for kind in _kinds(chunk):
            if kind == ENDS_SENTENCE:
                ended = True
            elif kind == OTHER_WORD and ended:
                count, ended = count + 1, False
    return count


@lru_cache(maxsize=MOST_CHUNKS)
def _kinds(chunk: str) -> tuple[int, ...]:
    """What the words of a chunk are."""
    return tuple(map(_kind, words_of_chunks([chunk])[0]))


def _kind(word: str) -> int:
    if word in _sentence_ends():
        return ENDS_SENTENCE
    return PUNCTUATION if all(category(character).startswith("P") for character in word) else OTHER_WORD


@lru_cache
def _sentence_ends() -> frozenset[str]:
    from spacy.pipeline import Sentencizer

    return frozenset(Sentencizer.default_punct_chars)
