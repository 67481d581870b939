"""Which documents a step saw, and which steps saw a document: exact, since the order of the data is a pure function.

A document's positions in a shard are known, a sequence is a cut of a shard, and both the shuffle and the mixture
can be inverted. Nothing is logged in training, and nothing is searched for: time is logarithmic in the corpus.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy

from pipeline.pretraining.data.stream import TokenStream
from pipeline.tokenization.document_ids import DOCUMENT_ID, keyed_hash64
from pipeline.tokenization.shards import TokenShard, documents_of, read_index


@dataclass(frozen=True)
class Occurrence:
    """A span of a document in a sequence that was trained on."""

    step: int
    """Step of the phase, from 0."""
    row: int
    """Place of the sequence in the step's batch, from 0."""
    position: int
    """Place in the sequence where the span begins, in tokens from 0."""
    domain: str
    """Data domain of the mixture that the document belongs to."""
    source: str
    """Name of the dataset that the document came from."""
    document: str
    """Id of the document: the SHA-256 of its content."""
    start: int
    """First token of the document that was seen."""
    end: int
    """Token after the last one seen; the last token of every document is `<|end_of_text|>`."""
    epoch: int
    """How often the whole domain was read before, from 0."""


class Trace:
    """The training data of one phase, looked up by step or by document."""

    def __init__(self, tokens: Path, stream: TokenStream, context: int, sequences_per_step: int, steps: int) -> None:
        """Maps the tables of the shards' documents.

        Args:
            tokens: the `tokens/` folder that the phase read.
            stream: the phase's, of that folder.
            context: tokens in a sequence.
            sequences_per_step: sequences of a step, over all ranks.
            steps: of the phase.

        Raises:
            DataError: for shards that do not say which documents they hold.
        """
        self._stream, self._context = stream, context
        self._sequences_per_step, self.steps = sequences_per_step, steps
        index = read_index(tokens)["domains"]
        self._domains = stream.mixture.domains
        self._sources: list[list[str]] = [index[name]["train"]["sources"] for name in self._domains]
        self._shards = [TokenShard.open(tokens / name / "train.ds") for name in self._domains]
        self._documents = [documents_of(tokens / name / "train.ds") for name in self._domains]

    def documents_of_step(self, step: int) -> Iterator[Occurrence]:
        """What a step of the phase saw, in the order of the batch; `step` is 0 or more and below `steps`."""
        assert 0 <= step < self.steps
        for row in range(self._sequences_per_step):
            location = self._stream.locate(step * self._sequences_per_step + row)
            begin = location.sequence * self._context
            ends = self._shards[location.domain].document_ends
            number = int(numpy.searchsorted(ends, numpy.array(begin, ends.dtype), side="right"))
            while number < len(ends) and self._document_start(location.domain, number) < begin + self._context:
                yield self._occurrence(location.domain, number, begin, step, row, location.epoch)
                number += 1

    def steps_of_document(self, document_id: str) -> Iterator[Occurrence]:
        """Where the phase saw a document, in the order of the steps; nothing for one that it never saw."""
        found, samples = [], self.steps * self._sequences_per_step
        for domain, name in enumerate(self._domains):
            for number in self._numbers_of(domain, document_id):
                start, end = self._document_start(domain, number), int(self._shards[domain].document_ends[number])
                for sequence in range(start // self._context, (end - 1) // self._context + 1):
                    for sample, epoch in self._stream.samples_of(name, sequence, samples):
                        step, row = divmod(sample, self._sequences_per_step)
                        found.append(self._occurrence(domain, number, sequence * self._context, step, row, epoch))
        return iter(sorted(found, key=lambda each: (each.step, each.row, each.position)))

    def _document_start(self, domain: int, number: int) -> int:
        return int(self._shards[domain].document_ends[number - 1]) if number else 0

    def _numbers_of(self, domain: int, document_id: str) -> Iterator[int]:
        """The places of a document in its shard, found by binary search: shards are sorted by the hash of the id."""
        assert DOCUMENT_ID.fullmatch(document_id)
        documents = self._documents[domain]
        wanted, first, last = keyed_hash64("order", document_id), 0, len(documents)
        while first < last:
            middle = (first + last) // 2
            if keyed_hash64("order", self._document_id(domain, middle)) < wanted:
                first = middle + 1
            else:
                last = middle
        while first < len(documents) and keyed_hash64("order", self._document_id(domain, first)) == wanted:
            if self._document_id(domain, first) == document_id:
                yield first
            first += 1

    def _document_id(self, domain: int, number: int) -> str:
        return self._documents[domain][number]["id"].tobytes().hex()

    def _occurrence(self, domain: int, number: int, begin: int, step: int, row: int, epoch: int) -> Occurrence:
        """The span of document `number` that lies in the sequence which begins at token `begin` of the shard."""
        start, end = self._document_start(domain, number), int(self._shards[domain].document_ends[number])
        first, last = max(start, begin), min(end, begin + self._context)
        return Occurrence(
            step=step,
            row=row,
            position=first - begin,
            domain=self._domains[domain],
            source=self._sources[domain][int(self._documents[domain][number]["source"])],
            document=self._document_id(domain, number),
            start=first - start,
            end=last - start,
            epoch=epoch,
        )
