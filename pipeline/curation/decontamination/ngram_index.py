"""Which runs of words a text shares with benchmarks.

Every distinct word of the benchmarks has a number, and all items lie one after the other in one array. A run is
looked up by a 64-bit hash of its numbers and then compared with the benchmark's own, so that equal hashes alone
never make a match. A text's other words have the number 0, which no run of a benchmark holds.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.curation.text.normalized_words import normalized_words

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""An odd constant with well-mixed bits: 2^64 over the golden ratio (Knuth, TAOCP 3, section 6.4)."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a text's words that benchmarks hold as well."""

    first: int
    """Number of the text's word that it begins with."""
    length: int
    """Words."""
    places: tuple[int, ...]
    """Where benchmarks have it: positions in the array of all items."""


class NgramIndex:
    """An index of benchmarks' items by their runs of words."""

    def __init__(self, benchmarks: Iterable[Sequence[str]], n_grams: int, distinct_words: int = 1) -> None:
        """Indexes the items of each benchmark.

        Items shorter than `n_grams` words are indexed whole; those with fewer distinct words than
        `distinct_words` are not looked for.
        """
        self.numbers: dict[str, int] = {}
        starts, owners, flat = [0], [], []
        wanted: dict[int, list[int]] = {}
        for owner, texts in enumerate(benchmarks):
            for text in texts:
                words, _ = normalized_words(text)
                if len(set(words)) < max(distinct_words, 1):
                    continue
                runs = range(starts[-1], starts[-1] + max(1, len(words) - n_grams + 1))
                wanted.setdefault(min(len(words), n_grams), []).extend(runs)
                flat += [self.numbers.setdefault(word, len(self.numbers) + 1) for word in words]
                owners.append(owner)
                starts.append(len(flat))
        self.starts = np.array(starts, dtype=np.int64)
        """Where each item begins; the last number is the end."""
        self.owners = np.array(owners, dtype=np.int64)
        """Number of each item's benchmark."""
        self._flat = np.array(flat, dtype=np.uint32)
        self._tables = {length: self._table(length, runs) for length, runs in sorted(wanted.items())}

    def _table(self, length: int, runs: list[int]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        positions = np.array(runs, dtype=np.int64)
        hashes = run_hashes(self._flat, length)[positions]
        order = np.argsort(hashes, kind="stable")
        return hashes[order], positions[order]

    def item_of(self, place: int) -> int:
        """The item that a position belongs to."""
        return int(np.searchsorted(self.starts, place, side="right")) - 1

    def runs(self, words: Sequence[str]) -> Iterator[Run]:
        """All runs that a text shares with the benchmarks, the longest kind last, each kind from left to right."""
        numbers = np.array([self.numbers.get(word, 0) for word in words], dtype=np.uint32)
        if not numbers.any():
            return
        for length, (hashes, positions) in self._tables.items():
            if length > len(numbers):
                break
            found = run_hashes(numbers, length)
            nearest = np.searchsorted(hashes, found).clip(max=len(hashes) - 1)
            # A run that a text repeats is compared once.
            known: dict[bytes, tuple[int, ...]] = {}
            for first in np.nonzero(hashes[nearest] == found)[0].tolist():
                key = numbers[first : first + length].tobytes()
                if key not in known:
                    low = int(nearest[first])
                    high = int(np.searchsorted(hashes, found[first], side="right"))
                    candidates = positions[low:high].tolist()
                    known[key] = tuple(at for at in candidates if self._flat[at : at + length].tobytes() == key)
                if known[key]:
                    yield Run(first, length, known[key])


def run_hashes(numbers: NDArray[np.uint32], length: int) -> NDArray[np.uint64]:
    """A hash of each run of `length` numbers: a polynomial modulo 2^64 over mixed numbers."""
    count = max(0, len(numbers) - length + 1)
    mixed = numbers.astype(np.uint64) * _MULTIPLIER
    mixed ^= mixed >> np.uint64(32)
    result = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        result = result * _MULTIPLIER + mixed[offset : offset + count]
    return result
