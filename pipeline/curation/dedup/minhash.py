"""MinHash signatures: short summaries of texts, of which parts are equal the likelier the more similar the texts are.

Of each of many hash functions the smallest value over a text's shingles is taken. Two texts have the same smallest
value with a probability equal to their Jaccard similarity s (Broder 1997, "On the resemblance and containment of
documents"). The values are gathered in b buckets of r: two texts agree in a whole bucket with probability s^r, and in
at least one of them with 1 - (1 - s^r)^b, a steep curve whose middle the recipe chooses by b (`buckets`) and r
(`hashes_per_bucket`).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.core.arrays import write_array
from pipeline.curation.dedup.shingles import shingle_hasher
from pipeline.curation.recipes.steps.duplicates import MinHash

SEED = 1
"""That of datatrove's MinHash."""
SHINGLES_PER_BLOCK = 512
"""Shingles whose values of all hash functions are computed together: what fits a core's cache."""
NO_SHINGLES = numpy.uint64(0)
"""The hash in every bucket of a text too short to have shingles; no other text has it, and it makes no candidates."""


class MinHasher:
    """The hash functions of a step `minhash`, which give a text's signature from its shingles.

    They are multiply-add-shift functions (Dietzfelbinger 1996): a shingle times an odd 64-bit number, plus another
    number, modulo 2^64. Their order is what counts, and that is decided by the upper bits.
    """

    def __init__(self, step: MinHash) -> None:
        """Draws the functions from a fixed seed: signatures of different runs can be compared."""
        self.buckets, self.hashes = step.buckets, step.hashes_per_bucket
        draw = numpy.random.Generator(numpy.random.PCG64(SEED))
        count = self.buckets * self.hashes
        self._multipliers = draw.integers(0, 2**64, (count, 1), numpy.uint64) | numpy.uint64(1)
        self._addends = draw.integers(0, 2**64, (count, 1), numpy.uint64)
        self._mix = draw.integers(0, 2**64, (1, self.hashes), numpy.uint64) | numpy.uint64(1)

    def minima(self, shingles: numpy.ndarray) -> numpy.ndarray:
        """The smallest value of each hash function over some shingles (at least one), uint64 (buckets x hashes)."""
        least = numpy.full(len(self._multipliers), numpy.iinfo(numpy.uint64).max, numpy.uint64)
        for first in range(0, len(shingles), SHINGLES_PER_BLOCK):
            values = shingles[None, first : first + SHINGLES_PER_BLOCK] * self._multipliers
            values += self._addends
            numpy.minimum(least, values.min(axis=1), out=least)
        return least

    def __call__(self, shingles: numpy.ndarray) -> numpy.ndarray:
        """A text's signature: for each bucket one hash of its minima, uint64 (buckets).

        The minima of a bucket are mixed and summed to one number; that two different rows of minima give the same one
        is as unlikely as for any 64-bit hash.
        """
        if not len(shingles):
            return numpy.full(self.buckets, NO_SHINGLES)
        minima = self.minima(shingles).reshape(self.buckets, self.hashes)
        hashes = ((minima ^ (minima >> numpy.uint64(31))) * self._mix).sum(axis=1, dtype=numpy.uint64)
        return numpy.where(hashes == NO_SHINGLES, numpy.uint64(1), hashes)


def signature_count(path: Path) -> int:
    """How many documents' signatures a file of `write_signatures` has."""
    return int(numpy.load(path, mmap_mode="r").shape[1])


def write_signatures(documents: Iterable[Document], step: MinHash, path: Path) -> None:
    """Writes the signatures of some documents, in their order, as uint64 (buckets x documents).

    Memory: some 30 bytes x buckets a document.
    """
    shingles, minhasher = shingle_hasher(step.language, step.n_grams, step.numbers_alike), MinHasher(step)
    rows = [minhasher(shingles(document.text)) for document in documents]
    write_array(path, numpy.array(rows, numpy.uint64).reshape(-1, step.buckets).T)
