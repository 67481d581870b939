"""The leaders of a group of candidates: which of them a document may be like, told by bitmaps of their shingles.

Pages of one template that are not alike enough all lead, and each is held against all before it: 10,000 of them are 50
million pairs. A bit that only one of two documents has is a shingle, if not more, that the other has not: that bounds
their similarity from above, and few pairs are left whose shingles must be compared.
"""

from collections.abc import Callable, Iterator

import numpy

FEW = 8
"""Leaders that are all compared as they are."""
MOST_BITS = 1 << 16
AT_ONCE = 1024
"""Leaders whose bitmaps are compared with a document's in one call, of 8 MiB at most."""


class Representatives:
    """Numbers of documents, none like another.

    Memory: for each leader as many bits as the longest document has characters, rounded up to a power of two, 8 KiB at
    most.
    """

    def __init__(self, shingles_at: Callable[[int], numpy.ndarray], characters: int, minimum_jaccard: float) -> None:
        """Args: what gives the shingles of a number; `characters` of the longest document; how alike is like."""
        self._shingles_at, self._minimum_jaccard = shingles_at, minimum_jaccard
        self._bits = min(MOST_BITS, max(64, 1 << characters.bit_length()))
        self._numbers: list[int] = []
        self._maps: list[numpy.ndarray] = []
        """Of `AT_ONCE` leaders each, uint64 (leaders x words)."""
        self._counts: list[numpy.ndarray] = []
        """Shingles and bits of them, int64 (leaders x 2)."""
        self._mapped = 0

    def append(self, number: int) -> None:
        """One more."""
        self._numbers.append(number)

    def perhaps_like(self, number: int) -> Iterator[int]:
        """Leaders in their order, among them all that a document is like."""
        if len(self._numbers) < FEW:
            yield from self._numbers
            return
        while self._mapped < len(self._numbers):
            block, row = divmod(self._mapped, AT_ONCE)
            if row == 0:
                self._maps.append(numpy.empty((AT_ONCE, self._bits // 64), numpy.uint64))
                self._counts.append(numpy.empty((AT_ONCE, 2), numpy.int64))
            self._maps[block][row], self._counts[block][row] = self._map(self._numbers[self._mapped])
            self._mapped += 1
        own, (size, bits) = self._map(number)
        for block, (maps, counts) in enumerate(zip(self._maps, self._counts, strict=True)):
            numbers = self._numbers[block * AT_ONCE : (block + 1) * AT_ONCE]
            sizes, others = counts[: len(numbers)].T
            common = numpy.bitwise_count(maps[: len(numbers)] & own).sum(axis=1, dtype=numpy.int64)
            both = common + numpy.minimum(size - bits, sizes - others)
            perhaps = both / numpy.maximum(size + sizes - both, 1) >= self._minimum_jaccard
            yield from (numbers[place] for place in numpy.flatnonzero(perhaps).tolist())

    def _map(self, number: int) -> tuple[numpy.ndarray, tuple[int, int]]:
        """A document's bitmap; how many shingles it has, and how many bits."""
        shingles = self._shingles_at(number)
        places = numpy.zeros(self._bits, bool)
        places[shingles & numpy.uint64(self._bits - 1)] = True
        return numpy.packbits(places).view(numpy.uint64), (len(shingles), int(places.sum()))
