"""Which source each training sample comes from: a pure function of (weights, seed, global sample number).

Samples come in blocks. Up to the end of every block each source has had its exact share, rounded by largest
remainder, so no count is ever off by a whole sample; inside a block the order is shuffled.
"""

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy

from pipeline.core.errors import DataError

SMALLEST_BLOCK = 64
LARGEST_BLOCK = 65_536


class Mixture:
    """Assigns global sample numbers to sources."""

    def __init__(self, weights: Mapping[str, float], seed: int) -> None:
        """Args: `weights` per source, zero weights are left out; `seed` of the order inside blocks.

        Raises:
            DataError: for a share too small to be met exactly.
        """
        self.sources = sorted(source for source, weight in weights.items() if weight > 0)
        exact = [Fraction(str(weights[source])) for source in self.sources]
        self._shares = [weight / sum(exact) for weight in exact]
        # With at least one sample of each source per block, cumulative counts never decrease.
        self.block = max(SMALLEST_BLOCK, math.ceil(1 / min(self._shares)))
        if self.block > LARGEST_BLOCK:
            smallest = self.sources[self._shares.index(min(self._shares))]
            raise DataError(f"mixture.{smallest}: its share is below 1/{LARGEST_BLOCK}, raise it or set it to 0")
        self._seed = seed

    def counts(self, samples: int) -> dict[str, int]:
        """How many of the first `samples` samples each source gives."""
        blocks, rest = divmod(samples, self.block)
        counts = self._cumulative(blocks)
        if rest:
            order = self._order(blocks)[:rest]
            counts = counts + numpy.bincount(order, minlength=len(self.sources))
        return {source: int(count) for source, count in zip(self.sources, counts, strict=True)}

    def assign(self, start: int, count: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Source number and position within that source, for samples start..start+count−1."""
        sources = numpy.empty(count, dtype=numpy.int64)
        positions = numpy.empty(count, dtype=numpy.int64)
        sample = start
        while sample < start + count:
            block, offset = divmod(sample, self.block)
            take = min(self.block - offset, start + count - sample)
            order = self._order(block)
            within = numpy.empty(self.block, dtype=numpy.int64)
            before = self._cumulative(block)
            for source in range(len(self.sources)):
                places = numpy.flatnonzero(order == source)
                within[places] = before[source] + numpy.arange(len(places))
            place = slice(sample - start, sample - start + take)
            sources[place] = order[offset : offset + take]
            positions[place] = within[offset : offset + take]
            sample += take
        return sources, positions

    def sample_of(self, source: int, position: int) -> int:
        """The global number of the sample that is a source's `position`-th: the inverse of `assign`."""
        # A block holds at least one sample of each source: the block is no later than the position.
        first, last = 0, position
        while first < last:
            middle = (first + last + 1) // 2
            if int(self._cumulative(middle)[source]) <= position:
                first = middle
            else:
                last = middle - 1
        places = numpy.flatnonzero(self._order(first) == source)
        return first * self.block + int(places[position - int(self._cumulative(first)[source])])

    def _cumulative(self, blocks: int) -> numpy.ndarray:
        """Samples of each source in the first `blocks` blocks: floors, then the largest remainders."""
        total = blocks * self.block
        exact = [share * total for share in self._shares]
        counts = [math.floor(each) for each in exact]
        by_remainder = sorted(range(len(exact)), key=lambda source: (counts[source] - exact[source], source))
        for source in by_remainder[: total - sum(counts)]:
            counts[source] += 1
        return numpy.array(counts, dtype=numpy.int64)

    def _order(self, block: int) -> numpy.ndarray:
        counts = self._cumulative(block + 1) - self._cumulative(block)
        order = numpy.repeat(numpy.arange(len(self.sources)), counts)
        generator = numpy.random.Generator(numpy.random.Philox(key=[self._seed, block]))
        return generator.permutation(order)


def check_token_budget(
    mixture: Mixture, samples: int, available: Mapping[str, int], max_epochs: float
) -> dict[str, float]:
    """Epochs of each source that `samples` samples need.

    Args:
        available: sequences that one epoch of each source holds.
        max_epochs: the most that a source may be repeated.

    Raises:
        DataError: naming the source that would run out, with the numbers that clash.
    """
    epochs = {}
    for source, wanted in mixture.counts(samples).items():
        has = available[source]
        if has == 0:
            raise DataError(f"mixture.{source}: its tokens fill no sequence; shorten context, or leave it out")
        epochs[source] = wanted / has
        if epochs[source] > max_epochs:
            raise DataError(
                f"mixture.{source}: needs {wanted} sequences, has {has}: {epochs[source]:.1f} epochs, more than "
                f"max_epochs={max_epochs:g}; lower its weight or tokens, add data, or raise max_epochs"
            )
    return epochs
