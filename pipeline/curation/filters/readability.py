"""The filter on McAlpine's readability, a measure for readers of English as a foreign language.

EFLAW = (words + mini-words) / sentences, where a mini-word has at most three letters (McAlpine, "From Plain English to
Global English"). Words and sentences are counted as textstat 0.7 does, because GneissWeb's limits are for its numbers:
what is no letter, digit, underscore or white space is removed, and sentences of one or two words do not count.
"""

import re

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, FilterResult, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.classifiers import Readability

MINI_WORD_LETTERS = 3
SENTENCE = re.compile(r"\b[^.!?]+[.!?]*")
NO_WORD_CHARACTER = re.compile(r"[^\w\s]")
SHORTEST_SENTENCE = 3
"""Words of the shortest sentence that counts."""


def words_of(text: str) -> list[str]:
    """The words of a text without punctuation; `well-known` and `don't` are one word each."""
    return NO_WORD_CHARACTER.sub("", text).split()


def eflaw(text: str) -> float:
    """The EFLAW score of a text, 0 without words. Up to 20 is very easy, above 30 confusing (McAlpine)."""
    words = words_of(text)
    mini_words = sum(len(word) <= MINI_WORD_LETTERS for word in words)
    sentences = sum(len(words_of(sentence)) >= SHORTEST_SENTENCE for sentence in SENTENCE.findall(text))
    return (len(words) + mini_words) / max(1, sentences)


def readability_filter(step: Readability) -> DocumentFilter:
    """Writes the EFLAW score to `eflaw` in the metadata; rejects a score that is not below the limit."""

    def apply(document: Document) -> FilterResult:
        score = round(eflaw(document.text), 4)
        if score >= step.below:
            return reject("eflaw", score, step.below)
        document.metadata["eflaw"] = score
        return FilterResult(checks=(Check("eflaw", score, step.below),))

    return apply
