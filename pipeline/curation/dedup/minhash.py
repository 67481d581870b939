"""MinHash signatures: of each bucket one number, equal for two texts with probability similarity^hashes_per_bucket.

Of every hash function the smallest value over the shingles is taken (Broder 1997); a bucket is several of them. Two
texts of Jaccard similarity s have a bucket in common with probability 1 - (1 - s^r)^b: r hashes in each of b buckets.
"""

import numpy

from pipeline.curation.recipes.steps.duplicates import MinHash

SEED = 1
"""datatrove's."""
SHINGLES_AT_ONCE = 512
"""Of which all hash values are computed together: what fits a core's cache."""
NOTHING = numpy.uint64(0)
"""The number of every bucket of a text without shingles; no other text gets it."""


class Signatures:
    """The hash functions of a step."""

    def __init__(self, step: MinHash) -> None:
        self.buckets, self.hashes = step.buckets, step.hashes_per_bucket
        draw = numpy.random.Generator(numpy.random.PCG64(SEED))
        count = self.buckets * self.hashes
        # Multiply-add-shift (Dietzfelbinger 1996): the high bits of an odd multiple order the values.
        self._multipliers = draw.integers(0, 2**64, (count, 1), numpy.uint64) | numpy.uint64(1)
        self._addends = draw.integers(0, 2**64, (count, 1), numpy.uint64)
        self._mix = draw.integers(0, 2**64, (1, self.hashes), numpy.uint64) | numpy.uint64(1)

    def minima(self, shingles: numpy.ndarray) -> numpy.ndarray:
        """The smallest value of each hash function over some shingles (at least one), uint64 (buckets x hashes)."""
        least = numpy.full(len(self._multipliers), numpy.iinfo(numpy.uint64).max, numpy.uint64)
        for first in range(0, len(shingles), SHINGLES_AT_ONCE):
            values = shingles[None, first : first + SHINGLES_AT_ONCE] * self._multipliers
            values += self._addends
            numpy.minimum(least, values.min(axis=1), out=least)
        return least

    def __call__(self, shingles: numpy.ndarray) -> numpy.ndarray:
        """A text's number in each bucket, uint64 (buckets)."""
        if not len(shingles):
            return numpy.full(self.buckets, NOTHING)
        minima = self.minima(shingles).reshape(self.buckets, self.hashes)
        numbers = ((minima ^ (minima >> numpy.uint64(31))) * self._mix).sum(axis=1, dtype=numpy.uint64)
        return numpy.where(numbers == NOTHING, numpy.uint64(1), numbers)
