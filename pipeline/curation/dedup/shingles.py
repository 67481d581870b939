"""The n-grams of a text as hashes: what MinHash signs, and what similarity is counted on.

Words are those that datatrove's MinHash compares: without case, punctuation, diacritics, and with 0 for every number,
split by datatrove's tokenizer of the language. In English, what a chunk between white space becomes is remembered.
"""

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

MARK = "\ue000"
"""A character of private use, which the simplification leaves as it is."""
WITH_DIACRITICS, WITHOUT_DIACRITICS = TextNormConfig(), TextNormConfig(norm_unicode_diacritics=False)
"""ASCII has none to take off, which costs most."""


class Shingles:
    """Hashed n-grams of words."""

    def __init__(self, language: str, n_grams: int) -> None:
        """Args: `language`, datatrove's name of it; `n_grams`, words in a shingle."""
        self.n_grams = n_grams
        self._chunks: dict[str, tuple[int, ...]] = {}
        self._parts: dict[str, tuple[int, ...]] = {}
        self._tokenizer: Any = None if language == ENGLISH else word_tokenizer(language)

    def __call__(self, text: str) -> numpy.ndarray:
        """The different shingles of a text as sorted uint64; none of a text with fewer words."""
        words = self._words(text)
        count = len(words) - self.n_grams + 1
        if count < 1:
            return numpy.empty(0, numpy.uint64)
        shingles = words[:count].copy()
        for place in range(1, self.n_grams):
            shingles *= MULTIPLIER
            shingles ^= shingles >> numpy.uint64(29)
            shingles += words[place : place + count]
        shingles *= MULTIPLIER
        shingles ^= shingles >> numpy.uint64(32)
        return numpy.unique(shingles)

    def _words(self, text: str) -> numpy.ndarray:
        """Hashes of the words in order."""
        if self._tokenizer is not None:
            words = self._tokenizer.word_tokenize(simplify_text(text))
            return numpy.fromiter(map(_hash_word, words), numpy.uint64, len(words))
        if len(self._chunks) > MOST_CHUNKS:
            self._chunks.clear()
            self._parts.clear()
        chunks = text.split()
        unknown = list(dict.fromkeys(chunk for chunk in chunks if chunk not in self._chunks))
        if unknown:
            self._learn(unknown)
        hashes = numpy.fromiter(chain.from_iterable(map(self._chunks.__getitem__, chunks)), numpy.uint64)
        for chunk in unknown:
            if len(chunk) > LONGEST_CHUNK:
                del self._chunks[chunk]
        return hashes

    def _learn(self, chunks: list[str]) -> None:
        simple = _simplified(chunks)
        parts = list(dict.fromkeys(part for part in chain.from_iterable(simple) if part not in self._parts))
        for part, words in zip(parts, words_of_chunks(parts), strict=True):
            self._parts[part] = tuple(map(_hash_word, words))
        for chunk, own in zip(chunks, simple, strict=True):
            self._chunks[chunk] = tuple(chain.from_iterable(map(self._parts.__getitem__, own)))


def _simplified(chunks: list[str]) -> list[list[str]]:
    """What chunks become. No rule of the simplification reaches over white space: all are simplified together."""
    ascii_only = [chunk for chunk in chunks if chunk.isascii()]
    others = [chunk for chunk in chunks if not chunk.isascii() and MARK not in chunk]
    found: dict[str, list[str]] = {}
    for some, config in ((ascii_only, WITHOUT_DIACRITICS), (others, WITH_DIACRITICS)):
        simple = simplify_text(f" {MARK} ".join(some), config).split(MARK)
        found.update(zip(some, map(str.split, simple), strict=False))
    return [found[chunk] if chunk in found else simplify_text(chunk).split() for chunk in chunks]


def _hash_word(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word)


@lru_cache
def shingles_of(language: str, n_grams: int) -> Shingles:
    """The shingles of a language, whose memory all tasks of a process share."""
    return Shingles(language, n_grams)
