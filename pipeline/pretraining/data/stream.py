"""The training data: sample n is a pure function of the shards, the mixture and a seed.

A sample's number gives its domain and its position within that domain (`mixture`); position ÷ sequences is its epoch,
and a permutation keyed by seed, shard and epoch says which of the domain's sequences stands at that place
(`permutation`). A sequence is a cut of the shard at multiples of the context. So the state of the data is one number,
the samples consumed, any number of ranks resumes at the same one, and nothing is shuffled in memory or on disk.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy

from pipeline.core.errors import DataError
from pipeline.pretraining.data.mixture import Mixture, check_epochs
from pipeline.pretraining.data.permutation import FeistelPermutation
from pipeline.tokenization.shards import TokenShard, read_index

IGNORE_INDEX = -100
"""Label of a position that has no next token inside its document, as torch's cross-entropy names it."""
SequenceTransform = Callable[[numpy.ndarray, numpy.ndarray, str], numpy.ndarray]
"""Token ids of a sequence, the places where documents end in it, and a key → as many token ids."""


@dataclass(frozen=True)
class Batch:
    """Sequences, each array of shape (sequences, context) and type int64."""

    tokens: numpy.ndarray
    positions: numpy.ndarray
    """Position inside the document, from 0; it restarts at each document, which is what bounds attention."""
    labels: numpy.ndarray
    """The next token of the same document, else `IGNORE_INDEX`."""

    def slice_of_sequences(self, rank: int, ranks: int) -> "Batch":
        """All sequences, of each the `rank`-th of `ranks` equal slices: shape (sequences, context / ranks)."""
        length = self.tokens.shape[1] // ranks
        return Batch(*(each[:, rank * length : (rank + 1) * length] for each in dataclasses.astuple(self)))


@dataclass(frozen=True)
class SampleLocation:
    """The sequence that a sample reads."""

    domain: int
    """Place of the domain in `Mixture.domains`."""
    epoch: int
    """How often the whole domain was read before, from 0."""
    sequence: int
    """Number of the sequence in the domain's shard: its tokens begin at sequence × context."""


class PackedDataset:
    """The shard of one domain, cut into sequences of a fixed length without regard to where documents end."""

    def __init__(self, shard: TokenShard, context: int, transform: SequenceTransform | None = None) -> None:
        """Takes the domain's shard, the tokens in a sequence, and what changes the tokens of a sequence, if any."""
        self._shard, self._context, self._transform = shard, context, transform

    def __len__(self) -> int:
        """The number of whole sequences for which the token after each is there too, as the last label."""
        return max(0, (len(self._shard) - 1) // self._context)

    def read(self, number: int, key: str = "") -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """A sequence as tokens, positions and labels (see `Batch`), each int64 of shape (context,).

        Args:
            number: of the sequence, from 0.
            key: for the transform; what it draws at random depends on it.
        """
        start, context = number * self._context, self._context
        window = numpy.asarray(self._shard.tokens[start : start + context + 1]).astype(numpy.int64)
        ends = self._shard.document_ends
        # Of the type of the ends: another one would have all of them converted, at every read.
        limits = numpy.array([start, start + context], ends.dtype)
        first, last = numpy.searchsorted(ends, limits, side="right").tolist()
        ends_in_window = numpy.asarray(ends[first:last]).astype(numpy.int64) - start
        if self._transform is not None:
            window = self._transform(window, ends_in_window, key)
        inside = ends_in_window[ends_in_window < context]
        document_start = numpy.zeros(context, dtype=numpy.int64)
        document_start[inside] = inside
        positions = numpy.arange(context) - numpy.maximum.accumulate(document_start)
        labels = window[1:].copy()
        labels[ends_in_window[ends_in_window <= context] - 1] = IGNORE_INDEX
        return window[:-1], positions, labels


class TokenStream:
    """The mixed, shuffled sequences of a phase, to be read by sample number."""

    def __init__(
        self,
        directory: Path,
        weights: Mapping[str, float],
        context: int,
        seed: int,
        transforms: Mapping[str, SequenceTransform] | None = None,
    ) -> None:
        """Maps the shards that a mixture names.

        Args:
            directory: the `tokens/` folder of a tokenize stage.
            weights: mixture weight per domain.
            context: tokens in a sequence.
            seed: of the order.
            transforms: by domain, what changes the tokens of its sequences.

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
        self._shards = [TokenShard.open(directory / name / "train.ds") for name in self.mixture.domains]
        by_domain = [(transforms or {}).get(name) for name in self.mixture.domains]
        self._datasets = [
            PackedDataset(shard, context, transform) for shard, transform in zip(self._shards, by_domain, strict=True)
        ]

    @property
    def fingerprints(self) -> dict[str, str]:
        """By domain, the SHA-256 of its shard as the index has it: equal fingerprints, equal data."""
        return {name: shard.fingerprint for name, shard in zip(self.mixture.domains, self._shards, strict=True)}

    def check_epochs(self, samples: int, max_epochs: float) -> dict[str, float]:
        """Epochs by domain that `samples` samples take.

        Raises:
            DataError: for a domain that would be repeated more than `max_epochs` times.
        """
        sequences = {name: len(each) for name, each in zip(self.mixture.domains, self._datasets, strict=True)}
        return check_epochs(self.mixture, samples, sequences, max_epochs)

    def read(self, start: int, count: int) -> Batch:
        """The sequences of samples start..start+count−1, one a row."""
        domains, positions = self.mixture.assign(start, count)
        locations = [self._locate(int(domain), int(at)) for domain, at in zip(domains, positions, strict=True)]
        rows = [
            self._datasets[each.domain].read(each.sequence, f"{self._key(each.domain, each.epoch)}/{each.sequence}")
            for each in locations
        ]
        return _batch(rows)

    def locate(self, sample: int) -> SampleLocation:
        """The sequence that a sample reads, found without reading it."""
        domains, positions = self.mixture.assign(sample, 1)
        return self._locate(int(domains[0]), int(positions[0]))

    def samples_of(self, domain: str, sequence: int, samples: int) -> list[tuple[int, int]]:
        """Which of the first `samples` samples read a sequence of a domain: the inverse of `locate`.

        Returns:
            Sample number and epoch of each, in order. None where the sequence lies behind the domain's last whole one,
            which is never read.
        """
        number = self.mixture.domains.index(domain)
        taken, length, found = self.mixture.counts(samples)[domain], len(self._datasets[number]), []
        if sequence >= length:
            return []
        for epoch in range(-(-taken // length)):
            position = epoch * length + int(self._shuffle(number, epoch).inverse(numpy.array([sequence]))[0])
            if position < taken:
                found.append((self.mixture.sample_of(number, position), epoch))
        return found

    def _shuffle(self, domain: int, epoch: int) -> FeistelPermutation:
        """Position within an epoch of a domain → sequence number."""
        return FeistelPermutation(len(self._datasets[domain]), self._key(domain, epoch))

    def _key(self, domain: int, epoch: int) -> str:
        return f"{self._seed}/{self.mixture.domains[domain]}/{self._shards[domain].fingerprint}/{epoch}"

    def _locate(self, domain: int, position: int) -> SampleLocation:
        epoch, index = divmod(position, len(self._datasets[domain]))
        return SampleLocation(domain, epoch, int(self._shuffle(domain, epoch)(numpy.array([index]))[0]))


def validation_batch(directory: Path, domain: str, context: int, sequences: int) -> Batch | None:
    """The first sequences of a domain's held-out split, at most `sequences`; None if it does not fill one.

    Args:
        directory: the `tokens/` folder.
        domain: name.
        context: tokens in a sequence.
        sequences: number of rows.
    """
    dataset = PackedDataset(TokenShard.open(directory / domain / "validation.ds"), context)
    rows = [dataset.read(number) for number in range(min(sequences, len(dataset)))]
    return _batch(rows) if rows else None


def _batch(rows: list[tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]]) -> Batch:
    return Batch(*(numpy.stack(each) for each in zip(*rows, strict=True)))


def domains_with_validation(directory: Path) -> list[str]:
    """Names of the domains that have held-out tokens, sorted.

    Raises:
        DataError: if there are none at all.
    """
    index = read_index(directory)
    found = sorted(name for name, splits in index["domains"].items() if splits["validation"]["tokens"])
    if not found:
        raise DataError(f"{directory}: no held-out tokens; raise validation_share of the tokenize stage")
    return found
