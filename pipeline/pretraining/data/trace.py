"""Which documents a step saw, and which steps saw a document: exact, since the order of the data is a pure function.

A document's positions in a shard are known, a sequence is a cut of a shard, and both the shuffle and the mixture
can be inverted. Nothing is logged in training, and nothing is searched for: time is logarithmic in the corpus.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy

from pipeline.pretraining.data.stream import TokenStream
from pipeline.tokenization.documents import IDENTITY, hash64
from pipeline.tokenization.shards import TokenShard, documents_of, read_index


@dataclass(frozen=True)
class Sighting:
    """A part of a document in a sequence that was trained on."""

    step: int
    """Step of the phase, from 0."""
    row: int
    """Place of the sequence in the step's batch."""
    position: int
    """Place in the sequence where the part begins."""
    domain: str
    source: str
    """Name of the dataset."""
    document: str
    """SHA-256 of the document, its id."""
    start: int
    """First token of the document that was seen."""
    end: int
    """Token after the last one seen; the last token of every document is `<|end_of_text|>`."""
    epoch: int


class Trace:
    """The data of one phase, looked up from either end."""

    def __init__(self, tokens: Path, stream: TokenStream, context: int, sequences_per_step: int, steps: int) -> None:
        """Args: the `tokens` folder and the phase's `stream` of it; tokens in a sequence; the phase's shape.

        Raises:
            DataError: for shards that do not say which documents they hold.
        """
        self._stream, self._context = stream, context
        self._sequences_per_step, self.steps = sequences_per_step, steps
        index = read_index(tokens)["domains"]
        self._names = stream.mixture.sources
        self._sources: list[list[str]] = [index[name]["train"]["sources"] for name in self._names]
        self._shards = [TokenShard.open(tokens / name / "train.ds") for name in self._names]
        self._documents = [documents_of(tokens / name / "train.ds") for name in self._names]

    def documents_of_step(self, step: int) -> Iterator[Sighting]:
        """What a step of the phase saw, in the order of the batch."""
        assert 0 <= step < self.steps
        for row in range(self._sequences_per_step):
            place = self._stream.place_of(step * self._sequences_per_step + row)
            begin = place.sequence * self._context
            ends = self._shards[place.source].document_ends
            number = int(numpy.searchsorted(ends, numpy.array(begin, ends.dtype), side="right"))
            while number < len(ends) and self._start(place.source, number) < begin + self._context:
                yield self._sighting(place.source, number, begin, step, row, place.epoch)
                number += 1

    def steps_of_document(self, identity: str) -> Iterator[Sighting]:
        """Where the phase saw a document, in the order of the steps."""
        found, samples = [], self.steps * self._sequences_per_step
        for source, domain in enumerate(self._names):
            for number in self._numbers_of(source, identity):
                start, end = self._start(source, number), int(self._shards[source].document_ends[number])
                for sequence in range(start // self._context, (end - 1) // self._context + 1):
                    for sample, epoch in self._stream.samples_of(domain, sequence, samples):
                        step, row = divmod(sample, self._sequences_per_step)
                        found.append(self._sighting(source, number, sequence * self._context, step, row, epoch))
        return iter(sorted(found, key=lambda each: (each.step, each.row, each.position)))

    def _start(self, source: int, number: int) -> int:
        return int(self._shards[source].document_ends[number - 1]) if number else 0

    def _numbers_of(self, source: int, identity: str) -> Iterator[int]:
        """The places of a document in its shard, which is sorted by the hash of the id."""
        assert IDENTITY.fullmatch(identity)
        documents = self._documents[source]
        wanted, first, last = hash64("order", identity), 0, len(documents)
        while first < last:
            middle = (first + last) // 2
            if hash64("order", self._identity(source, middle)) < wanted:
                first = middle + 1
            else:
                last = middle
        while first < len(documents) and hash64("order", self._identity(source, first)) == wanted:
            if self._identity(source, first) == identity:
                yield first
            first += 1

    def _identity(self, source: int, number: int) -> str:
        return self._documents[source][number]["identity"].tobytes().hex()

    def _sighting(self, source: int, number: int, begin: int, step: int, row: int, epoch: int) -> Sighting:
        """The part of a document that lies in the sequence which begins at token `begin` of the shard."""
        start, end = self._start(source, number), int(self._shards[source].document_ends[number])
        first, last = max(start, begin), min(end, begin + self._context)
        return Sighting(
            step=step,
            row=row,
            position=first - begin,
            domain=self._names[source],
            source=self._sources[source][int(self._documents[source][number]["source"])],
            document=self._identity(source, number),
            start=first - start,
            end=last - start,
            epoch=epoch,
        )
