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
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.dedup import near_duplicates, repeats, substrings
from pipeline.curation.dedup.previous_runs import KnownIds, previous_runs, previous_signatures, save_index
from pipeline.curation.dedup.units import units_of
from pipeline.curation.executors.parallel import TaskProgress
from pipeline.curation.recipes.steps.duplicates import ExactDedup, SubstringDedup
from pipeline.curation.tasks.packing import packed
from pipeline.curation.tasks.workspace import DomainWorkspace, write_domain
from pipeline.curation.text import documents


@dataclass(frozen=True)
class MergeExact:
    """Merges a domain's parts in the order of the ids and drops exact duplicates."""

    workspace: DomainWorkspace

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the ranges of ids."""
        workspace = self.workspace
        audit = workspace.new_audit()
        parts = [documents.read_documents(workspace.part(task)) for task in range(workspace.tasks)]
        stream: Iterator[Document] = heapq.merge(*parts, key=documents.order)
        exact = next((step for step in workspace.recipe.steps if isinstance(step, ExactDedup)), None)
        if exact is not None:
            known = KnownIds(exact.against, workspace.recipe.domain)
            stream = self._unique(stream, known, audit, progress)
        following = next(stream, None)
        for shard in range(workspace.tasks):
            chosen: list[Document] = []
            while following is not None and workspace.shard_of(str(following.id)) == shard:
                chosen.append(following)
                following = next(stream, None)
            documents.write_documents(workspace.unique(shard), chosen)
        write_json(workspace.audit("unite"), audit.as_json())
        progress.unit_done()

    @staticmethod
    def _unique(
        stream: Iterator[Document], known: KnownIds, audit: AuditLog, progress: TaskProgress
    ) -> Iterator[Document]:
        kept: str | None = None
        for document in stream:
            progress.document_done()
            if str(document.id) in known:
                removal = Removal(reason="in_earlier_run", duplicate_of=str(document.id))
                audit.remove("exact_dedup", document, removal)
                continue
            if document.id == kept:
                audit.remove("exact_dedup", document, Removal(reason="same_content", duplicate_of=kept))
                continue
            kept = str(document.id)
            audit.keep("exact_dedup", len(document.text), len(document.text))
            yield document


@dataclass(frozen=True)
class MinHashSignatures:
    """MinHash signatures of a range of ids."""

    workspace: DomainWorkspace
    shard: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes them."""
        step = self.workspace.minhash
        assert step is not None
        stream = documents.read_documents(self.workspace.unique(self.shard))
        near_duplicates.sign(stream, step, self.workspace.signature(self.shard))
        progress.unit_done()


@dataclass(frozen=True)
class LshBuckets:
    """Groups of documents with the same number in one bucket."""

    workspace: DomainWorkspace
    bucket: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the bucket's groups."""
        workspace, step = self.workspace, self.workspace.minhash
        assert step is not None
        signatures = [workspace.signature(shard) for shard in range(workspace.tasks)]
        signatures += [each.signatures for each in previous_signatures(step, workspace.recipe.domain)]
        near_duplicates.find_groups(signatures, self.bucket, workspace.groups)
        progress.unit_done()


@dataclass(frozen=True)
class FilterNearDuplicates:
    """Drops near duplicates, for a domain that then looks for copies within documents."""

    workspace: DomainWorkspace

    def __call__(self, progress: TaskProgress) -> None:
        """Writes what stays in ranges of ids."""
        workspace = self.workspace
        audit = workspace.new_audit()
        stream = _without_near_duplicates(workspace, audit)
        for shard, own in itertools.groupby(stream, key=lambda document: workspace.shard_of(str(document.id))):
            documents.write_documents(workspace.thin(shard), own)
        for shard in range(workspace.tasks):
            if not workspace.thin(shard).exists():
                documents.write_documents(workspace.thin(shard), [])
        write_json(workspace.audit("thin"), audit.as_json())
        progress.unit_done()


@dataclass(frozen=True)
class HashNgrams:
    """Hashes of all runs of units in one document after the other, of all ranges of ids."""

    workspace: DomainWorkspace
    shard: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes them divided by hash."""
        workspace, step = self.workspace, self.workspace.substrings
        assert step is not None
        offset = sum(each.count for each in previous_runs(step, workspace.recipe.domain))
        offset += sum(1 for shard in range(self.shard) for _ in documents.read_documents(workspace.thin(shard)))
        divide = units_of(step)
        stream = documents.read_documents(workspace.thin(self.shard))
        texts = ((offset + number, divide(document.text)) for number, document in enumerate(stream))
        repeats.write_runs(texts, step.minimum_units, step.buckets, workspace.runs, self.shard)
        progress.unit_done()


@dataclass(frozen=True)
class FindRepeats:
    """The runs of one bucket that occurred before."""

    workspace: DomainWorkspace
    bucket: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes them."""
        workspace, step = self.workspace, self.workspace.substrings
        assert step is not None
        files, before = [], 0
        for each in previous_runs(step, workspace.recipe.domain):
            files += [(path, before) for path in each.bucket(self.bucket)]
            before += each.count
        own = workspace.runs / f"{self.bucket:03d}"
        files += [(own / f"{shard:05d}.npy", 0) for shard in range(workspace.tasks)]
        repeats.find_repeats(files, workspace.repeats(self.bucket), before)
        progress.unit_done()


@dataclass(frozen=True)
class WriteDomain:
    """Drops what is left to drop, and writes a domain's documents, removals and funnel where they stay."""

    workspace: DomainWorkspace
    output: Path
    documents_per_file: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the domain."""
        workspace = self.workspace
        audit = workspace.new_audit()
        for path in sorted((workspace.folder / "ledgers").glob("*.json")):
            if path.stem != "publish":
                audit.add(json.loads(path.read_text()))
        if (step := workspace.substrings) is not None:
            thin = [workspace.thin(shard) for shard in range(workspace.tasks)]
            found = [workspace.repeats(bucket) for bucket in range(step.buckets)]
            work = workspace.folder / f"copies-{os.getpid()}"
            stream = substrings.without_copies(thin, found, work, step, audit, _before(workspace, step))
        else:
            stream = _without_near_duplicates(workspace, audit)
        if (joins := workspace.packing) is not None:
            stream = packed(stream, workspace.folder / f"packing-{os.getpid()}", joins, audit)
        write_domain(self.output, workspace.recipe, stream, audit, self.documents_per_file)
        save_index(self.output, workspace.recipe.domain, workspace.minhash, workspace.substrings)
        write_json(workspace.folder / "funnel.json", audit.funnel())
        progress.unit_done()


def _before(workspace: DomainWorkspace, step: SubstringDedup) -> substrings.Before:
    domain = workspace.recipe.domain
    earlier = previous_runs(step, domain)
    files = [path for each in earlier for path in each.documents]
    return substrings.Before(files, sum(each.count for each in earlier), KnownIds(step.against, domain))


def _without_near_duplicates(workspace: DomainWorkspace, audit: AuditLog) -> Iterator[Document]:
    unique = [workspace.unique(shard) for shard in range(workspace.tasks)]
    if (step := workspace.minhash) is None:
        return itertools.chain.from_iterable(map(documents.read_documents, unique))
    work = workspace.folder / f"candidates-{os.getpid()}"
    earlier = [path for each in previous_signatures(step, workspace.recipe.domain) for path in each.documents]
    return near_duplicates.without(unique, earlier, workspace.groups, work, step, audit)
