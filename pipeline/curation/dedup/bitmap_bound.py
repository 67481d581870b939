"""An upper bound of the similarity of two documents, from bitmaps of their shingles, that spares most comparisons.

Pages of one template share a bucket without being similar enough to be duplicates. Each of them becomes a
representative, and each is compared with all before it: 10,000 pages are 50 million pairs. Here a pair costs one AND
and one count of bits, and only pairs that the bound lets through have their shingles compared.
"""

from collections.abc import Callable, Iterator

import numpy

COMPARE_ALL_BELOW = 8
"""With fewer representatives a bitmap costs more than it spares."""
MAX_BITS = 1 << 16
"""Bits of a bitmap, at most: 8 KiB."""
BLOCK_SIZE = 1024
"""Representatives whose bitmaps are compared with a document's in one call, in 8 MiB at most."""


class Representatives:
    """The documents of one candidate group that stand for a cluster each, none similar enough to another.

    The bound: shingle x sets the bit x mod (number of bits). A document of n shingles has b <= n bits set; n - b
    shingles fell on a bit that was set already. If two documents have c set bits in common, each shingle that they
    share either set one of those c bits or is one of the surplus ones, of which there are n - b on one side and m - d
    on the other. So they share at most s = c + min(n - b, m - d) shingles, and their Jaccard similarity, shared over
    united, is at most s / (n + m - s), which grows with s. No pair at or above the threshold is ever left out.

    Memory: for each representative as many bits as the longest document has characters, rounded up to a power of two,
    8 KiB at most.
    """

    def __init__(self, shingles_at: Callable[[int], numpy.ndarray], characters: int, minimum_jaccard: float) -> None:
        """Starts without representatives.

        Args:
            shingles_at: gives the shingles of the document with a number, distinct uint64.
            characters: of the longest document that will be asked for; the size of bitmaps is chosen by it.
            minimum_jaccard: similarity from which two documents are duplicates.
        """
        self._shingles_at, self._minimum_jaccard = shingles_at, minimum_jaccard
        self._bits = min(MAX_BITS, max(64, 1 << characters.bit_length()))
        self._numbers: list[int] = []
        self._bitmaps: list[numpy.ndarray] = []
        """Blocks of `BLOCK_SIZE` bitmaps, uint64 (representatives x words)."""
        self._counts: list[numpy.ndarray] = []
        """For each of them the number of its shingles and of its set bits, int64 (representatives x 2)."""
        self._mapped = 0
        """Representatives that have a bitmap: it is made when first needed."""

    def append(self, number: int) -> None:
        """Makes the document with this number a representative, after those that are."""
        self._numbers.append(number)

    def possible_matches(self, number: int) -> Iterator[int]:
        """Yields, in the order they were appended, the representatives whose bound reaches `minimum_jaccard`.

        All that are that similar to the document are among them, and few others.
        """
        if len(self._numbers) < COMPARE_ALL_BELOW:
            yield from self._numbers
            return
        self._map_new_representatives()
        own, (size, bits) = self._bitmap(number)
        for block, (bitmaps, counts) in enumerate(zip(self._bitmaps, self._counts, strict=True)):
            numbers = self._numbers[block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE]
            sizes, others = counts[: len(numbers)].T
            common = numpy.bitwise_count(bitmaps[: len(numbers)] & own).sum(axis=1, dtype=numpy.int64)
            shared = common + numpy.minimum(size - bits, sizes - others)
            possible = shared / numpy.maximum(size + sizes - shared, 1) >= self._minimum_jaccard
            yield from (numbers[row] for row in numpy.flatnonzero(possible).tolist())

    def _map_new_representatives(self) -> None:
        while self._mapped < len(self._numbers):
            block, row = divmod(self._mapped, BLOCK_SIZE)
            if row == 0:
                self._bitmaps.append(numpy.empty((BLOCK_SIZE, self._bits // 64), numpy.uint64))
                self._counts.append(numpy.empty((BLOCK_SIZE, 2), numpy.int64))
            self._bitmaps[block][row], self._counts[block][row] = self._bitmap(self._numbers[self._mapped])
            self._mapped += 1

    def _bitmap(self, number: int) -> tuple[numpy.ndarray, tuple[int, int]]:
        """A document's bitmap as uint64 words, with the number of its shingles and of its set bits."""
        shingles = self._shingles_at(number)
        bits = numpy.zeros(self._bits, bool)
        bits[shingles & numpy.uint64(self._bits - 1)] = True
        return numpy.packbits(bits).view(numpy.uint64), (len(shingles), int(bits.sum()))
