"""The training data: sequence n is a pure function of the shards, the mixture and a seed.

So the state of the data is one number, the samples consumed, and any number of ranks resumes at the same one.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy

from pipeline.core.errors import DataError
from pipeline.pretraining.data.mixture import Mixture, check_token_budget
from pipeline.pretraining.data.permutation import FeistelPermutation
from pipeline.tokenization.shards import TokenShard, read_index

IGNORED = -100
"""Label of a position that has no next token inside its document."""
Rearrange = Callable[[numpy.ndarray, numpy.ndarray, str], numpy.ndarray]
"""Tokens of a sequence, where documents end in it, and a key → as many tokens."""


@dataclass(frozen=True)
class Batch:
    """Sequences, each array of shape (sequences, context) and type int64."""

    tokens: numpy.ndarray
    positions: numpy.ndarray
    """Position inside the document; it restarts at each document, which is what bounds attention."""
    labels: numpy.ndarray
    """The next token of the same document, else `IGNORED`."""

    def part(self, number: int, parts: int) -> "Batch":
        """One of several equal slices of all sequences."""
        length = self.tokens.shape[1] // parts
        return Batch(*(each[:, number * length : (number + 1) * length] for each in dataclasses.astuple(self)))


@dataclass(frozen=True)
class Place:
    """Where a sample is read."""

    source: int
    """Number of the domain among the mixture's sources."""
    epoch: int
    sequence: int
    """Number of the sequence in the domain's shard: its tokens begin at sequence × context."""


class PackedDataset:
    """One source cut into sequences of a fixed length; the cut ignores document borders."""

    def __init__(self, shard: TokenShard, context: int, rearrange: Rearrange | None = None) -> None:
        """Args: the source's `shard`; tokens in a sequence, `context`; what changes the tokens of a sequence."""
        self._shard, self._context, self._rearrange = shard, context, rearrange

    def __len__(self) -> int:
        """Whole sequences with the token that follows each."""
        return max(0, (len(self._shard) - 1) // self._context)

    def read(self, number: int, key: str = "") -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """Tokens, positions and labels of a sequence, each of shape (context,). Args: `key` for what rearranges."""
        start, context = number * self._context, self._context
        window = numpy.asarray(self._shard.tokens[start : start + context + 1]).astype(numpy.int64)
        ends = self._shard.document_ends
        # Of the type of the ends: another one would have all of them converted, at every read.
        limits = numpy.array([start, start + context], ends.dtype)
        first, last = numpy.searchsorted(ends, limits, side="right").tolist()
        borders = numpy.asarray(ends[first:last]).astype(numpy.int64) - start
        if self._rearrange is not None:
            window = self._rearrange(window, borders, key)
        inside = borders[borders < context]
        document_start = numpy.zeros(context, dtype=numpy.int64)
        document_start[inside] = inside
        positions = numpy.arange(context) - numpy.maximum.accumulate(document_start)
        labels = window[1:].copy()
        labels[borders[borders <= context] - 1] = IGNORED
        return window[:-1], positions, labels


class TokenStream:
    """The mixed, shuffled sequences of a phase."""

    def __init__(
        self,
        directory: Path,
        weights: Mapping[str, float],
        context: int,
        seed: int,
        rearrange: Mapping[str, Rearrange] | None = None,
    ) -> None:
        """Opens the shards a mixture names.

        Args:
            directory: the `tokens/` folder of a tokenize stage.
            weights: mixture weight per domain.
            context: tokens in a sequence.
            seed: of the order.
            rearrange: what changes the tokens of some domains.

        Raises:
            DataError: for a domain that has no tokens, or a shard cut short.
        """
        present = read_index(directory)["domains"]
        for domain, weight in weights.items():
            if weight > 0 and not present.get(domain, {}).get("train", {}).get("tokens"):
                named = ", ".join(sorted(name for name in present if present[name]["train"]["tokens"]))
                raise DataError(f"mixture.{domain}: no tokens of this domain in {directory}, only of {named}")
        self.mixture = Mixture(weights, seed)
        self._context, self._seed = context, seed
        self._shards = [TokenShard.open(directory / name / "train.ds") for name in self.mixture.sources]
        changes = [(rearrange or {}).get(name) for name in self.mixture.sources]
        self._sources = [PackedDataset(shard, context, each) for shard, each in zip(self._shards, changes, strict=True)]

    @property
    def fingerprints(self) -> dict[str, str]:
        """What each source's shard was when it was written."""
        return {name: shard.fingerprint for name, shard in zip(self.mixture.sources, self._shards, strict=True)}

    def check_token_budget(self, samples: int, max_epochs: float) -> dict[str, float]:
        """Epochs per source that `samples` samples take; refuses what cannot be met (`mixture.check_supply`)."""
        available = {name: len(each) for name, each in zip(self.mixture.sources, self._sources, strict=True)}
        return check_token_budget(self.mixture, samples, available, max_epochs)

    def read(self, start: int, count: int) -> Batch:
        """Samples start..start+count−1."""
        sources, positions = self.mixture.assign(start, count)
        places = [self._place(int(source), int(at)) for source, at in zip(sources, positions, strict=True)]
        rows = [
            self._sources[place.source].read(place.sequence, f"{self._key(place.source, place.epoch)}/{place.sequence}")
            for place in places
        ]
        tokens, within, labels = (numpy.stack(each) for each in zip(*rows, strict=True))
        return Batch(tokens, within, labels)

    def place_of(self, sample: int) -> Place:
        """Where a sample is read."""
        sources, positions = self.mixture.assign(sample, 1)
        return self._place(int(sources[0]), int(positions[0]))

    def samples_of(self, domain: str, sequence: int, samples: int) -> list[tuple[int, int]]:
        """Which of the first `samples` samples read a sequence of a domain: sample and epoch, in order."""
        source, taken = self.mixture.sources.index(domain), self.mixture.counts(samples)[domain]
        length, found = len(self._sources[source]), []
        if sequence >= length:  # what is left over at a shard's end is never read
            return []
        for epoch in range(-(-taken // length)):
            position = epoch * length + int(self._shuffle(source, epoch).inverse(numpy.array([sequence]))[0])
            if position < taken:
                found.append((self.mixture.sample_of(source, position), epoch))
        return found

    def _shuffle(self, source: int, epoch: int) -> FeistelPermutation:
        return FeistelPermutation(len(self._sources[source]), self._key(source, epoch))

    def _key(self, source: int, epoch: int) -> str:
        return f"{self._seed}/{self.mixture.sources[source]}/{self._shards[source].fingerprint}/{epoch}"

    def _place(self, source: int, position: int) -> Place:
        epoch, index = divmod(position, len(self._sources[source]))
        return Place(source, epoch, int(self._shuffle(source, epoch)(numpy.array([index]))[0]))


def validation_batch(directory: Path, domain: str, context: int, sequences: int) -> Batch | None:
    """The first sequences of a domain's held-out split; None if it fills none."""
    source = PackedDataset(TokenShard.open(directory / domain / "validation.ds"), context)
    rows = [source.read(number) for number in range(min(sequences, len(source)))]
    if not rows:
        return None
    tokens, positions, labels = (numpy.stack(each) for each in zip(*rows, strict=True))
    return Batch(tokens, positions, labels)


def domains_with_validation(directory: Path) -> list[str]:
    """Domains that have held-out tokens.

    Raises:
        DataError: if there are none at all.
    """
    index = read_index(directory)
    found = sorted(name for name, splits in index["domains"].items() if splits["validation"]["tokens"])
    if not found:
        raise DataError(f"{directory}: no held-out tokens; raise validation_share of the tokenize stage")
    return found
