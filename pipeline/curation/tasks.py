"""The tasks of curation: collect a part of a domain, drop exact duplicates, sign, find and drop near ones.

What passes from one to the next is in `Workplace`. Documents are always in the order of their ids, divided
into as many ranges of ids as there are tasks, so that nothing depends on that number.
"""

import heapq
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document

from pipeline.curation import documents, near_duplicates, readers
from pipeline.curation.bad_records import picked_up, quarantine_row
from pipeline.curation.extraction import Extraction
from pipeline.curation.ledger import Ledger
from pipeline.curation.parallel import Counter
from pipeline.curation.recipe import Recipe
from pipeline.curation.recipe_steps import EXTRACTORS, MinHash
from pipeline.curation.rules import rule_of
from pipeline.curation.rules.recorded import Recorded
from pipeline.curation.rules.rule import Removal
from pipeline.files import write_json

READ = "read"
"""The first line of every funnel: what the sources gave, and what was no text."""
EMPTY = "empty"
SHARD_BITS = 32


@dataclass(frozen=True)
class Workplace:
    """Where the parts of a domain lie while it is made, and how it is divided."""

    folder: Path
    recipe: Recipe
    tasks: int

    def part(self, task: int) -> Path:
        """What one task collected."""
        return self.folder / "parts" / f"{task:05d}.jsonl.gz"

    def unique(self, shard: int) -> Path:
        """A range of ids without exact duplicates."""
        return self.folder / "unique" / f"{shard:05d}.jsonl.gz"

    def ledger(self, name: str) -> Path:
        """What a task counted."""
        return self.folder / "ledgers" / f"{name}.json"

    def signature(self, shard: int) -> Path:
        """MinHash signatures of a range of ids."""
        return self.folder / "signatures" / f"{shard:05d}.npy"

    @property
    def groups(self) -> Path:
        """Documents with a bucket in common."""
        return self.folder / "groups"

    @property
    def minhash(self) -> MinHash | None:
        """The recipe's near-duplicate step, if it has one."""
        return next((step for step in self.recipe.steps if isinstance(step, MinHash)), None)

    def new_ledger(self) -> Ledger:
        """An empty account with the recipe's steps."""
        return Ledger([READ, *(step.step for step in self.recipe.steps)])

    def shard_of(self, identity: str) -> int:
        """The range that an id lies in."""
        return int(identity[: SHARD_BITS // 4], 16) * self.tasks >> SHARD_BITS


@dataclass(frozen=True)
class Collect:
    """Reads every n-th unit of a domain's sources and applies the steps that look at one document."""

    workplace: Workplace
    task: int

    def __call__(self, counter: Counter) -> None:
        """Writes the part and what was counted."""
        ledger = self.workplace.new_ledger()
        stream: Iterator[Document] = self._read(ledger, counter)
        for step in self.workplace.recipe.steps:
            if isinstance(step, EXTRACTORS):
                stream = self._checked(Extraction(step, ledger).run(stream), step.step, ledger)
            elif step.scope != "domain":
                stream = Recorded(step.step, rule_of(step), ledger).run(stream)
        collected = sorted(stream, key=documents.order)
        documents.write_documents(self.workplace.part(self.task), collected)
        write_json(self.workplace.ledger(f"collect-{self.task:05d}"), ledger.as_json())

    def _read(self, ledger: Ledger, counter: Counter) -> Iterator[Document]:
        for source in self.workplace.recipe.sources:
            names = readers.units(source)[self.task :: self.workplace.tasks]
            for document in readers.read(source, names, counter.unit):
                counter.document()
                place, reason = picked_up(document)
                reason = reason or _unfit(document)
                document.text = document.text if reason is None else document.text.encode(errors="replace").decode()
                document.id = documents.content_id(document.text)
                if reason is None:
                    ledger.keep(READ, len(document.text), len(document.text))
                    yield document
                    continue
                ledger.remove(READ, document, Removal(reason=reason))
                if reason != EMPTY:
                    row = quarantine_row(place, document.metadata["origin"], reason, document.text)
                    ledger.quarantined.append(row)

    @staticmethod
    def _checked(stream: Iterable[Document], step: str, ledger: Ledger) -> Iterator[Document]:
        for document in stream:
            document.id = documents.content_id(document.text)
            yield document


def _unfit(document: Document) -> str | None:
    """Why something is no text at all."""
    if "\0" in document.text:
        return "nul_character"
    try:
        document.text.encode()
    except UnicodeEncodeError:
        return "invalid_unicode"
    if not document.text.strip() and "refused" not in document.metadata:
        return EMPTY
    return None


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
        if any(step.step == "exact_dedup" for step in workplace.recipe.steps):
            stream = self._unique(stream, ledger, counter)
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
    def _unique(stream: Iterator[Document], ledger: Ledger, counter: Counter) -> Iterator[Document]:
        kept: str | None = None
        for document in stream:
            counter.document()
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
        signatures = [self.workplace.signature(shard) for shard in range(self.workplace.tasks)]
        near_duplicates.find_groups(signatures, self.bucket, self.workplace.groups)
        counter.unit()


@dataclass(frozen=True)
class Publish:
    """Drops near duplicates and writes a domain's documents, removals and funnel where they stay."""

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
        unique = [workplace.unique(shard) for shard in range(workplace.tasks)]
        stream = itertools.chain.from_iterable(map(documents.read_documents, unique))
        if (step := workplace.minhash) is not None:
            work = workplace.folder / f"candidates-{os.getpid()}"
            stream = near_duplicates.without(unique, workplace.groups, work, step, ledger)
        write_domain(self.output, workplace.recipe, stream, ledger, self.documents_per_file)
        write_json(workplace.folder / "funnel.json", ledger.funnel())
        counter.unit()


def write_domain(
    output: Path, recipe: Recipe, stream: Iterable[Document], ledger: Ledger, documents_per_file: int
) -> None:
    """Writes documents and removal rows of a domain; an empty domain has one empty file."""
    iterator = iter(stream)
    for number in itertools.count():
        chosen = list(itertools.islice(iterator, documents_per_file))
        if chosen or number == 0:
            name = f"{number:05d}.jsonl.gz"
            documents.write_documents(output / "documents" / recipe.domain / name, chosen)
        if len(chosen) < documents_per_file:
            break
    removed = ({**row, "recipe": recipe.fingerprint} for row in ledger.sorted_rows())
    documents.write_rows(output / "removed" / recipe.domain / "00000.jsonl.gz", removed)
    write_json(output / "examples" / f"{recipe.domain}.json", ledger.examples.as_json())
    if ledger.quarantined:
        rows = sorted(ledger.quarantined, key=lambda row: (row["file"], row["offset"], row["reason"], row["excerpt"]))
        documents.write_rows(output / "quarantine" / recipe.domain / "00000.jsonl.gz", rows)
    if ledger.matches:
        documents.write_rows(output / "matches" / recipe.domain / "00000.jsonl.gz", ledger.sorted_matches())
