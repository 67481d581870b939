"""How many sentences a line has, from the words that other filters ask for as well."""

import re

import numpy
from datatrove.utils.text import split_into_sentences

from pipeline.curation.vocabulary import ENDS_SENTENCE, ENGLISH, OTHER_WORD, vocabulary

WHITE_SPACE = re.compile(r"\s{2,}|[^\S ]")
"""What is a word by itself to spaCy, of no other kind than any that is no punctuation."""


def count_sentences(line: str, language: str) -> int:
    """As many sentences as datatrove divides a line into.

    In English that is spaCy's rule: after a word that ends a sentence, the next one that is no punctuation begins
    another.
    """
    if language != ENGLISH:
        return len(split_into_sentences(line, language))
    words = vocabulary(language)
    kinds = words.sentence_kinds[words.words(WHITE_SPACE.sub(" a ", line))]
    ended = numpy.cumsum(kinds == ENDS_SENTENCE)[kinds == OTHER_WORD]
    return 1 + int(numpy.count_nonzero(numpy.diff(ended, prepend=0)))
