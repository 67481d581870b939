"""The shingles of a text, its n-grams of words, as hashes: what MinHash signs, and what similarity is counted on.

Words are those that datatrove's MinHash compares: without case, punctuation, diacritics, and with 0 for every number
unless numbers are to count, split by datatrove's tokenizer of the language. That is slow, and in English the words of a
chunk between two white spaces depend on the chunk alone: they are looked up in a table that grows as chunks are met.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy
import xxhash
from datatrove.utils.text import TextNormConfig, simplify_text

from pipeline.curation.text.english_words import words_of_chunks
from pipeline.curation.text.vocabulary import ENGLISH, LONGEST_CHUNK, MOST_CHUNKS, word_tokenizer

MULTIPLIER = numpy.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: mixes a word's hash into those before it, so that order counts."""

SEPARATOR = "\ue000"
"""Between chunks that are simplified together: a character of private use, which the simplification leaves as it is."""


class ShingleHasher:
    """Hashes the n-grams of words of texts in one language."""

    def __init__(self, language: str, n_grams: int, numbers_alike: bool = True) -> None:
        """Args: `language`, datatrove's name of it; `n_grams`, words in a shingle; whether all numbers are one word."""
        self.n_grams = n_grams
        self._simplification = TextNormConfig(norm_numbers=numbers_alike)
        self._chunks: dict[str, tuple[int, ...]] = {}
        """English: hashes of the words of a chunk as it stands in texts."""
        self._parts: dict[str, tuple[int, ...]] = {}
        """English: the same of a simplified chunk, which many different ones have become."""
        self._tokenizer: Any = None if language == ENGLISH else word_tokenizer(language)

    def __call__(self, text: str) -> numpy.ndarray:
        """The distinct shingles of a text as ascending uint64; none for a text of fewer words than a shingle has."""
        words = self._words(text)
        count = len(words) - self.n_grams + 1
        if count < 1:
            return numpy.empty(0, numpy.uint64)
        # All n-grams at once: the hashes of first words, into which those of second, third, ... words are mixed.
        shingles = words[:count].copy()
        for place in range(1, self.n_grams):
            shingles *= MULTIPLIER
            shingles ^= shingles >> numpy.uint64(29)
            shingles += words[place : place + count]
        shingles *= MULTIPLIER
        shingles ^= shingles >> numpy.uint64(32)
        return numpy.unique(shingles)

    def _words(self, text: str) -> numpy.ndarray:
        """The hashes of a text's words in order, uint64."""
        if self._tokenizer is not None:
            words = self._tokenizer.word_tokenize(simplify_text(text, self._simplification))
            return numpy.fromiter(map(_hash_word, words), numpy.uint64, len(words))
        if len(self._chunks) > MOST_CHUNKS:
            self._chunks.clear()
            self._parts.clear()
        chunks = text.split()
        unknown = list(dict.fromkeys(chunk for chunk in chunks if chunk not in self._chunks))
        if unknown:
            self._learn(unknown)
        hashes = numpy.fromiter(chain.from_iterable(map(self._chunks.__getitem__, chunks)), numpy.uint64)
        # A long chunk hardly comes again, and takes room.
        for chunk in unknown:
            if len(chunk) > LONGEST_CHUNK:
                del self._chunks[chunk]
        return hashes

    def _learn(self, chunks: list[str]) -> None:
        """Adds chunks to the table."""
        simple = _simplified(chunks, self._simplification)
        parts = list(dict.fromkeys(part for part in chain.from_iterable(simple) if part not in self._parts))
        for part, words in zip(parts, words_of_chunks(parts), strict=True):
            self._parts[part] = tuple(map(_hash_word, words))
        for chunk, own in zip(chunks, simple, strict=True):
            self._chunks[chunk] = tuple(chain.from_iterable(map(self._parts.__getitem__, own)))


def _simplified(chunks: list[str], config: TextNormConfig) -> list[list[str]]:
    """What datatrove's simplification makes of each chunk, which can be several.

    No rule of it reaches over white space: all are simplified in one call, and taken apart again.
    """
    ascii_only = [chunk for chunk in chunks if chunk.isascii()]
    others = [chunk for chunk in chunks if not chunk.isascii() and SEPARATOR not in chunk]
    found: dict[str, list[str]] = {}
    # Taking diacritics off costs most, and ASCII has none.
    for some, own in ((ascii_only, replace(config, norm_unicode_diacritics=False)), (others, config)):
        simple = simplify_text(f" {SEPARATOR} ".join(some), own).split(SEPARATOR)
        found.update(zip(some, map(str.split, simple), strict=False))
    return [found[chunk] if chunk in found else simplify_text(chunk, config).split() for chunk in chunks]


def _hash_word(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word.encode())


@lru_cache
def shingle_hasher(language: str, n_grams: int, numbers_alike: bool = True) -> ShingleHasher:
    """The hasher of a language, one for all tasks of a process, which so share its table.

    Args: `language`, datatrove's name of it; `n_grams`, words in a shingle; whether all numbers are one word.
    """
    return ShingleHasher(language, n_grams, numbers_alike)


def jaccard(one: numpy.ndarray, other: numpy.ndarray) -> float:
    """Jaccard similarity of two sets given as arrays of distinct numbers: shared over united, 0 for two empty ones."""
    shared = len(numpy.intersect1d(one, other, assume_unique=True))
    united = len(one) + len(other) - shared
    return shared / united if united else 0.0
