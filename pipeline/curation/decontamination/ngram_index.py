"""Finds the n-grams of words that a text shares with benchmarks.

Every distinct word of the benchmarks has a number from 1 on, and the numbers of all items stand one after the other in
one array. An n-gram is looked up by a 64-bit hash of its numbers in a sorted table of the benchmarks' hashes, and then
compared with the benchmark's own numbers, so that equal hashes alone never make a match. A text's other words have the
number 0, which no n-gram of a benchmark holds.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.curation.text.normalized_words import normalized_words

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""An odd constant with well-mixed bits: 2^64 over the golden ratio (Knuth, TAOCP 3, section 6.4)."""


@dataclass(frozen=True, slots=True)
class NgramMatch:
    """An n-gram of a text that benchmarks hold as well."""

    first: int
    """Number of the text's word that it begins with."""
    length: int
    """How many words it has."""
    positions: tuple[int, ...]
    """Where benchmarks have it: positions of its first word in the array of all items."""


class NgramIndex:
    """An index of benchmarks' items by their n-grams of words.

    Memory: some 20 bytes for each word of the benchmarks, and a dictionary of the distinct ones.
    """

    def __init__(self, benchmarks: Iterable[Sequence[str]], n_grams: int, distinct_words: int = 1) -> None:
        """Indexes the items of each benchmark.

        Args:
            benchmarks: the texts of the items, a sequence for each benchmark.
            n_grams: words in an n-gram. A shorter item is indexed as one n-gram of its own length.
            distinct_words: items with fewer different words than this are left out.
        """
        self.numbers: dict[str, int] = {}
        starts, owners, flat = [0], [], []
        wanted: dict[int, list[int]] = {}
        for owner, texts in enumerate(benchmarks):
            for text in texts:
                words, _ = normalized_words(text)
                if len(set(words)) < max(distinct_words, 1):
                    continue
                positions = range(starts[-1], starts[-1] + max(1, len(words) - n_grams + 1))
                wanted.setdefault(min(len(words), n_grams), []).extend(positions)
                flat += [self.numbers.setdefault(word, len(self.numbers) + 1) for word in words]
                owners.append(owner)
                starts.append(len(flat))
        self.starts = np.array(starts, dtype=np.int64)
        """Where each item begins in the array of all items; the last number is the end."""
        self.owners = np.array(owners, dtype=np.int64)
        """For each item the number of its benchmark."""
        self._flat = np.array(flat, dtype=np.uint32)
        self._tables = {length: self._table(length, positions) for length, positions in sorted(wanted.items())}
        """By their length, the hashes of n-grams in ascending order and the position of each."""

    def _table(self, length: int, starts: list[int]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        positions = np.array(starts, dtype=np.int64)
        hashes = ngram_hashes(self._flat, length)[positions]
        order = np.argsort(hashes, kind="stable")
        return hashes[order], positions[order]

    def item_at(self, position: int) -> int:
        """The number of the item that a position lies in."""
        return int(np.searchsorted(self.starts, position, side="right")) - 1

    def matches(self, words: Sequence[str]) -> Iterator[NgramMatch]:
        """Yields the n-grams that a text shares with benchmarks: shorter ones first, each length from left to right.

        Args:
            words: the text's, as `normalized_words` gives them.
        """
        numbers = np.array([self.numbers.get(word, 0) for word in words], dtype=np.uint32)
        if not numbers.any():
            return
        for length, (hashes, positions) in self._tables.items():
            if length > len(numbers):
                break
            found = ngram_hashes(numbers, length)
            nearest = np.searchsorted(hashes, found).clip(max=len(hashes) - 1)
            # An n-gram that a text repeats is compared once.
            known: dict[bytes, tuple[int, ...]] = {}
            for first in np.nonzero(hashes[nearest] == found)[0].tolist():
                key = numbers[first : first + length].tobytes()
                if key not in known:
                    low = int(nearest[first])
                    high = int(np.searchsorted(hashes, found[first], side="right"))
                    candidates = positions[low:high].tolist()
                    known[key] = tuple(at for at in candidates if self._flat[at : at + length].tobytes() == key)
                if known[key]:
                    yield NgramMatch(first, length, known[key])


def ngram_hashes(numbers: NDArray[np.uint32], length: int) -> NDArray[np.uint64]:
    """A hash of every `length` numbers in a row: a polynomial modulo 2^64 over mixed numbers."""
    count = max(0, len(numbers) - length + 1)
    mixed = numbers.astype(np.uint64) * _MULTIPLIER
    mixed ^= mixed >> np.uint64(32)
    result = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        result = result * _MULTIPLIER + mixed[offset : offset + count]
    return result
