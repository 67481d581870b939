"""The tasks that compare the documents of a domain with each other: equal ones, near ones, copies within them."""

import heapq
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document

from pipeline.core.files import write_json
from pipeline.curation.audit.judgement import Removal
from pipeline.curation.audit.ledger import Ledger
from pipeline.curation.dedup import near_duplicates, repeats, substrings
from pipeline.curation.dedup.previous_runs import KnownIds, earlier_runs, earlier_signatures, save_index
from pipeline.curation.dedup.units import units_of
from pipeline.curation.executors.parallel import Counter
from pipeline.curation.recipes.steps import ExactDedup, SubstringDedup
from pipeline.curation.tasks.packing import packed
from pipeline.curation.tasks.workspace import Workplace, write_domain
from pipeline.curation.text import documents


@dataclass(frozen=True)
class Unite:
    """Merges a domain's parts in the order of the ids and drops exact duplicates."""

    workplace: Workplace

    def __call__(self, counter: Counter) -> None:
        """Writes the ranges of ids."""
        workplace = self.workplace
        ledger = workplace.new_ledger()
        parts = [documents.read_documents(workplace.part(task)) for task in range(workplace.tasks)]
        stream: Iterator[Document] = heapq.merge(*parts, key=documents.order)
        exact = next((step for step in workplace.recipe.steps if isinstance(step, ExactDedup)), None)
        if exact is not None:
            known = KnownIds(exact.against, workplace.recipe.domain)
            stream = self._unique(stream, known, ledger, counter)
        following = next(stream, None)
        for shard in range(workplace.tasks):
            chosen: list[Document] = []
            while following is not None and workplace.shard_of(str(following.id)) == shard:
                chosen.append(following)
                following = next(stream, None)
            documents.write_documents(workplace.unique(shard), chosen)
        write_json(workplace.ledger("unite"), ledger.as_json())
        counter.unit()

    @staticmethod
    def _unique(stream: Iterator[Document], known: KnownIds, ledger: Ledger, counter: Counter) -> Iterator[Document]:
        kept: str | None = None
        for document in stream:
            counter.document()
            if str(document.id) in known:
                removal = Removal(reason="in_earlier_run", duplicate_of=str(document.id))
                ledger.remove("exact_dedup", document, removal)
                continue
            if document.id == kept:
                ledger.remove("exact_dedup", document, Removal(reason="same_content", duplicate_of=kept))
                continue
            kept = str(document.id)
            ledger.keep("exact_dedup", len(document.text), len(document.text))
            yield document


@dataclass(frozen=True)
class Sign:
    """MinHash signatures of a range of ids."""

    workplace: Workplace
    shard: int

    def __call__(self, counter: Counter) -> None:
        """Writes them."""
        step = self.workplace.minhash
        assert step is not None
        stream = documents.read_documents(self.workplace.unique(self.shard))
        near_duplicates.sign(stream, step, self.workplace.signature(self.shard))
        counter.unit()


@dataclass(frozen=True)
class Pair:
    """Groups of documents with the same number in one bucket."""

    workplace: Workplace
    bucket: int

    def __call__(self, counter: Counter) -> None:
        """Writes the bucket's groups."""
        workplace, step = self.workplace, self.workplace.minhash
        assert step is not None
        signatures = [workplace.signature(shard) for shard in range(workplace.tasks)]
        signatures += [each.signatures for each in earlier_signatures(step, workplace.recipe.domain)]
        near_duplicates.find_groups(signatures, self.bucket, workplace.groups)
        counter.unit()


@dataclass(frozen=True)
class Thin:
    """Drops near duplicates, for a domain that then looks for copies within documents."""

    workplace: Workplace

    def __call__(self, counter: Counter) -> None:
        """Writes what stays in ranges of ids."""
        workplace = self.workplace
        ledger = workplace.new_ledger()
        stream = _without_near_duplicates(workplace, ledger)
        for shard, own in itertools.groupby(stream, key=lambda document: workplace.shard_of(str(document.id))):
            documents.write_documents(workplace.thin(shard), own)
        for shard in range(workplace.tasks):
            if not workplace.thin(shard).exists():
                documents.write_documents(workplace.thin(shard), [])
        write_json(workplace.ledger("thin"), ledger.as_json())
        counter.unit()


@dataclass(frozen=True)
class Runs:
    """Hashes of all runs of units in one document after the other, of all ranges of ids."""

    workplace: Workplace
    shard: int

    def __call__(self, counter: Counter) -> None:
        """Writes them divided by hash."""
        workplace, step = self.workplace, self.workplace.substrings
        assert step is not None
        offset = sum(each.count for each in earlier_runs(step, workplace.recipe.domain))
        offset += sum(1 for shard in range(self.shard) for _ in documents.read_documents(workplace.thin(shard)))
        divide = units_of(step)
        stream = documents.read_documents(workplace.thin(self.shard))
        texts = ((offset + number, divide(document.text)) for number, document in enumerate(stream))
        repeats.write_runs(texts, step.minimum_units, step.buckets, workplace.runs, self.shard)
        counter.unit()


@dataclass(frozen=True)
class Repeats:
    """The runs of one bucket that occurred before."""

    workplace: Workplace
    bucket: int

    def __call__(self, counter: Counter) -> None:
        """Writes them."""
        workplace, step = self.workplace, self.workplace.substrings
        assert step is not None
        files, before = [], 0
        for each in earlier_runs(step, workplace.recipe.domain):
            files += [(path, before) for path in each.bucket(self.bucket)]
            before += each.count
        own = workplace.runs / f"{self.bucket:03d}"
        files += [(own / f"{shard:05d}.npy", 0) for shard in range(workplace.tasks)]
        repeats.find_repeats(files, workplace.repeats(self.bucket), before)
        counter.unit()


@dataclass(frozen=True)
class Publish:
    """Drops what is left to drop, and writes a domain's documents, removals and funnel where they stay."""

    workplace: Workplace
    output: Path
    documents_per_file: int

    def __call__(self, counter: Counter) -> None:
        """Writes the domain."""
        workplace = self.workplace
        ledger = workplace.new_ledger()
        for path in sorted((workplace.folder / "ledgers").glob("*.json")):
            if path.stem != "publish":
                ledger.add(json.loads(path.read_text()))
        if (step := workplace.substrings) is not None:
            thin = [workplace.thin(shard) for shard in range(workplace.tasks)]
            found = [workplace.repeats(bucket) for bucket in range(step.buckets)]
            work = workplace.folder / f"copies-{os.getpid()}"
            stream = substrings.without_copies(thin, found, work, step, ledger, _before(workplace, step))
        else:
            stream = _without_near_duplicates(workplace, ledger)
        if (joins := workplace.packing) is not None:
            stream = packed(stream, workplace.folder / f"packing-{os.getpid()}", joins, ledger)
        write_domain(self.output, workplace.recipe, stream, ledger, self.documents_per_file)
        save_index(self.output, workplace.recipe.domain, workplace.minhash, workplace.substrings)
        write_json(workplace.folder / "funnel.json", ledger.funnel())
        counter.unit()


def _before(workplace: Workplace, step: SubstringDedup) -> substrings.Before:
    domain = workplace.recipe.domain
    earlier = earlier_runs(step, domain)
    files = [path for each in earlier for path in each.documents]
    return substrings.Before(files, sum(each.count for each in earlier), KnownIds(step.against, domain))


def _without_near_duplicates(workplace: Workplace, ledger: Ledger) -> Iterator[Document]:
    unique = [workplace.unique(shard) for shard in range(workplace.tasks)]
    if (step := workplace.minhash) is None:
        return itertools.chain.from_iterable(map(documents.read_documents, unique))
    work = workplace.folder / f"candidates-{os.getpid()}"
    earlier = [path for each in earlier_signatures(step, workplace.recipe.domain) for path in each.documents]
    return near_duplicates.without(unique, earlier, workplace.groups, work, step, ledger)
