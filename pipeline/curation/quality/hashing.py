"""Words and n-grams of words of texts as rows of a table: the hashing trick, over many texts at once.

A word is a stretch of letters, digits and underscores, or a single other mark, in lower case. All white space is the
same: a line break parts words as a space does. As in fastText (Joulin et al. 2017, arXiv 1607.01759), n-grams are
hashed into the same table as words. Each text also has one entry of its own, so that an empty text has one too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy

SPACE, WORD, PUNCTUATION = range(3)
"""Kinds of characters."""
BASE = 0x9E3779B97F4A7C15
"""Base of the polynomial in a word's characters; odd, so that it has an inverse modulo 2^64."""
STEP = 0xD1342543DE82EF95
"""What the next word of an n-gram is multiplied by; odd."""


@dataclass(frozen=True)
class NgramHasher:
    """Turns texts into rows of a table. Its fields are written beside a classifier's weights."""

    bits: int
    """The table has 2^bits rows."""
    n_grams: int
    """Words in the longest n-gram."""
    characters: int
    """Characters of a text that are read, from its beginning."""

    def __call__(self, texts: Sequence[str]) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The rows of all n-grams of all texts, and for each the number of the text it is of; int64, int64.

        The n-grams of one text stand in an order that does not depend on the other texts: first its own entry, then
        words, then pairs, ...; all texts are hashed together, and n-grams that reach from one into the next are left
        out.
        """
        parts = [text[: self.characters].lower()[: self.characters] for text in texts]
        words, owners = _words(parts)
        hashes = [numpy.zeros(len(texts), numpy.uint64), words]
        owned = [numpy.arange(len(texts)), owners]
        ngrams = words
        for length in range(2, self.n_grams + 1):
            ngrams = _mixed(ngrams[:-1] + words[length - 1 :] * numpy.uint64(STEP))
            within = owners[: len(ngrams)] == owners[length - 1 :]
            hashes.append(ngrams[within])
            owned.append(owners[: len(ngrams)][within])
        rows = numpy.concatenate(hashes) & numpy.uint64((1 << self.bits) - 1)
        return rows.astype(numpy.int64), numpy.concatenate(owned)


def _words(texts: Sequence[str]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Hashes of the words of all texts in order, and for each the number of the text it is of; uint64, int64.

    All texts are one array of code points, a line break after each. A word is where its kind of characters begins and
    ends; its hash is a polynomial in its code points, of which one cumulative sum gives those of all words.
    """
    codes = numpy.frombuffer("".join(f"{text}\n" for text in texts).encode("utf-32-le", "surrogatepass"), "<u4")
    kinds = _kinds()[codes]
    inside = kinds == WORD
    begins = kinds != SPACE
    ends = begins.copy()
    begins[1:] &= ~(inside[1:] & inside[:-1])
    ends[:-1] &= ~(inside[:-1] & inside[1:])
    first, last = numpy.flatnonzero(begins), numpy.flatnonzero(ends) + 1
    # Sums of character times power of the base up to each place: a word is the difference of two, shifted to power 0.
    powers, inverses = _powers(max(1 << 12, 1 << (len(codes) - 1).bit_length()) if len(codes) else 1)
    sums = numpy.zeros(len(codes) + 1, numpy.uint64)
    numpy.cumsum((codes.astype(numpy.uint64) + numpy.uint64(1)) * powers[: len(codes)], out=sums[1:])
    hashes = _mixed((sums[last] - sums[first]) * inverses[first])
    borders = numpy.cumsum([len(text) + 1 for text in texts])
    return hashes, numpy.searchsorted(borders, first, side="right")


def _mixed(numbers: numpy.ndarray) -> numpy.ndarray:
    """Spreads every bit over all bits (the finalizer of SplitMix64, Steele et al. 2014)."""
    numbers = (numbers ^ (numbers >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> numpy.uint64(31))


@lru_cache(maxsize=8)
def _powers(count: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The first powers of the base, and of its inverse modulo 2^64; uint64 (count), uint64 (count)."""
    both = []
    for base in (BASE, pow(BASE, -1, 1 << 64)):
        factors = numpy.full(count, base, numpy.uint64)
        factors[0] = 1
        both.append(numpy.multiply.accumulate(factors))
    return both[0], both[1]


@lru_cache(maxsize=1)
def _kinds() -> numpy.ndarray:
    """The kind of every code point: white space, part of words, or punctuation; uint8, 1.1 MB."""
    kinds = numpy.full(0x110000, PUNCTUATION, numpy.uint8)
    for code in range(len(kinds)):
        character = chr(code)
        if character.isalnum() or character == "_":
            kinds[code] = WORD
        elif character.isspace():
            kinds[code] = SPACE
    return kinds
