"""Which domain each training sample comes from: a pure function of (weights, seed, global sample number)."""

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy

from pipeline.core.errors import DataError

SMALLEST_BLOCK = 64
LARGEST_BLOCK = 65_536


class Mixture:
    """Assigns global sample numbers to domains.

    Samples come in blocks of equal size. Up to the end of each block every domain has had its exact share of all
    samples so far, rounded to whole samples by largest remainder, so that counts are never off by a whole sample and
    errors do not add up; a block's own samples are the difference to the end of the block before, shuffled with a
    generator that is keyed by seed and block number. So any sample's domain is found from its block alone, in time
    that does not grow with its number.
    """

    def __init__(self, weights: Mapping[str, float], seed: int) -> None:
        """Takes the weights of domains, relative to their sum, and the seed of the order inside blocks.

        Domains of weight zero are left out.

        Raises:
            DataError: for a share too small to be met exactly.
        """
        self.domains = sorted(domain for domain, weight in weights.items() if weight > 0)
        """Names; elsewhere a domain is given as its place in this list."""
        exact = [Fraction(str(weights[domain])) for domain in self.domains]
        self._shares = [weight / sum(exact) for weight in exact]
        # With at least one sample of each domain per block, cumulative counts never decrease.
        self.block_size = max(SMALLEST_BLOCK, math.ceil(1 / min(self._shares)))
        if self.block_size > LARGEST_BLOCK:
            smallest = self.domains[self._shares.index(min(self._shares))]
            raise DataError(f"mixture.{smallest}: its share is below 1/{LARGEST_BLOCK}, raise it or set it to 0")
        self._seed = seed

    def counts(self, samples: int) -> dict[str, int]:
        """How many of the first `samples` samples are of each domain, by its name."""
        blocks, rest = divmod(samples, self.block_size)
        counts = self._counts_of_blocks(blocks)
        if rest:
            order = self._block_order(blocks)[:rest]
            counts = counts + numpy.bincount(order, minlength=len(self.domains))
        return {domain: int(count) for domain, count in zip(self.domains, counts, strict=True)}

    def assign(self, start: int, count: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The domains of samples start..start+count−1, and their positions within their domains.

        Returns:
            Two int64 arrays of shape (count,): places in `domains`, and how many samples of the same domain come
            before each of the samples since sample 0.
        """
        domains = numpy.empty(count, dtype=numpy.int64)
        positions = numpy.empty(count, dtype=numpy.int64)
        sample = start
        while sample < start + count:
            block, offset = divmod(sample, self.block_size)
            take = min(self.block_size - offset, start + count - sample)
            order = self._block_order(block)
            in_domain = numpy.empty(self.block_size, dtype=numpy.int64)
            before = self._counts_of_blocks(block)
            for domain in range(len(self.domains)):
                places = numpy.flatnonzero(order == domain)
                in_domain[places] = before[domain] + numpy.arange(len(places))
            written = slice(sample - start, sample - start + take)
            domains[written] = order[offset : offset + take]
            positions[written] = in_domain[offset : offset + take]
            sample += take
        return domains, positions

    def sample_of(self, domain: int, position: int) -> int:
        """The global number of the sample at a position within a domain: the inverse of `assign`.

        Binary search for the block: its time is logarithmic in the position.
        """
        # A block holds at least one sample of each domain: the block is no later than the position.
        first, last = 0, position
        while first < last:
            middle = (first + last + 1) // 2
            if int(self._counts_of_blocks(middle)[domain]) <= position:
                first = middle
            else:
                last = middle - 1
        places = numpy.flatnonzero(self._block_order(first) == domain)
        return first * self.block_size + int(places[position - int(self._counts_of_blocks(first)[domain])])

    def _counts_of_blocks(self, blocks: int) -> numpy.ndarray:
        """Samples of each domain in the first `blocks` blocks: floors of the shares, then the largest remainders."""
        total = blocks * self.block_size
        exact = [share * total for share in self._shares]
        counts = [math.floor(each) for each in exact]
        by_remainder = sorted(range(len(exact)), key=lambda domain: (counts[domain] - exact[domain], domain))
        for domain in by_remainder[: total - sum(counts)]:
            counts[domain] += 1
        return numpy.array(counts, dtype=numpy.int64)

    def _block_order(self, block: int) -> numpy.ndarray:
        """The domain of each sample of a block, int64 of shape (block_size,)."""
        counts = self._counts_of_blocks(block + 1) - self._counts_of_blocks(block)
        order = numpy.repeat(numpy.arange(len(self.domains)), counts)
        generator = numpy.random.Generator(numpy.random.Philox(key=[self._seed, block]))
        return generator.permutation(order)


def check_epochs(mixture: Mixture, samples: int, sequences: Mapping[str, int], max_epochs: float) -> dict[str, float]:
    """How often the first `samples` samples of a mixture repeat each domain; rejects what repeats one too often.

    Args:
        mixture: of the phase.
        samples: sequences that the phase trains on, of all domains.
        sequences: what one epoch of each domain holds.
        max_epochs: the most that a domain may be repeated.

    Returns:
        Epochs by domain, whole and broken ones.

    Raises:
        DataError: naming the domain that would run out, with the numbers that clash.
    """
    epochs = {}
    for domain, wanted in mixture.counts(samples).items():
        has = sequences[domain]
        if has == 0:
            raise DataError(f"mixture.{domain}: its tokens fill no sequence; shorten context, or leave it out")
        epochs[domain] = wanted / has
        if epochs[domain] > max_epochs:
            raise DataError(
                f"mixture.{domain}: needs {wanted} sequences, has {has}: {epochs[domain]:.1f} epochs, more than "
                f"max_epochs={max_epochs:g}; lower its weight or tokens, add data, or raise max_epochs"
            )
    return epochs
