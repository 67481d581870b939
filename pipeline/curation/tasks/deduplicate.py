"""The tasks that compare the documents of a domain with each other, from exact duplicates to copied passages.

Each class is the task of one step of the stage; `curate.plan` has their order.
"""

import heapq
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document

from pipeline.core.files import read_json, write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.dedup import lsh_buckets, minhash, near_duplicates, repeated_ngrams, substrings
from pipeline.curation.dedup.previous_runs import PreviousIds, previous_ngrams, previous_signatures, save_index
from pipeline.curation.dedup.text_store import enumerate_documents
from pipeline.curation.dedup.text_units import unit_splitter
from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.recipes.steps.duplicates import SubstringDedup
from pipeline.curation.tasks.packing import pack_repositories
from pipeline.curation.tasks.ranged_parts import read_range
from pipeline.curation.tasks.workspace import DomainWorkspace, write_domain
from pipeline.curation.text import documents


@dataclass(frozen=True)
class MergeExact:
    """Merges one shard's range of a domain's filtered parts, and drops exact duplicates if the recipe says so.

    Parts are sorted, so documents with equal content, which have equal ids, come one after the other. Without
    `exact_dedup` all stay.
    """

    workspace: DomainWorkspace
    shard: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the shard, and an audit log.

        Memory: the range as it lies compressed in the parts, of which none stays open.
        """
        workspace = self.workspace
        audit = workspace.new_audit_log()
        parts = [read_range(workspace.filtered_part(task), self.shard) for task in range(workspace.tasks)]
        stream: Iterator[Document] = heapq.merge(*parts, key=documents.order)
        if (step := workspace.exact_dedup) is not None:
            stream = self._unique(stream, PreviousIds(step.against, workspace.recipe.domain), audit, progress)
        documents.write_documents(workspace.exact_unique(self.shard), stream)
        workspace.write_audit_log(f"merge_exact-{self.shard:05d}", audit)
        progress.unit_done()

    @staticmethod
    def _unique(
        stream: Iterator[Document], previous: PreviousIds, audit: AuditLog, progress: TaskProgress
    ) -> Iterator[Document]:
        kept: str | None = None
        for document in stream:
            progress.document_done()
            if str(document.id) in previous:
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
    """Computes the MinHash signatures of a shard's documents."""

    workspace: DomainWorkspace
    shard: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the signatures, in the order of the documents."""
        step = self.workspace.minhash
        assert step is not None
        stream = documents.read_documents(self.workspace.exact_unique(self.shard))
        minhash.write_signatures(stream, step, self.workspace.signatures(self.shard))
        progress.unit_done()


@dataclass(frozen=True)
class LshBuckets:
    """Finds the documents of a domain, and of previous runs, that agree in one bucket."""

    workspace: DomainWorkspace
    bucket: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the bucket's candidate groups."""
        workspace, step = self.workspace, self.workspace.minhash
        assert step is not None
        signatures = [workspace.signatures(shard) for shard in range(workspace.tasks)]
        signatures += [each.signatures for each in previous_signatures(step, workspace.recipe.domain)]
        lsh_buckets.write_candidate_groups(signatures, self.bucket, workspace.candidate_groups)
        progress.unit_done()


@dataclass(frozen=True)
class FilterNearDuplicates:
    """Drops near duplicates for a domain with `substring_dedup`, whose next tasks need the documents in files.

    Other domains drop them in `WriteDomain`, without writing documents twice.
    """

    workspace: DomainWorkspace

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the shards, empty ones too, how many documents each has, and an audit log."""
        workspace = self.workspace
        audit = workspace.new_audit_log()
        stream = _without_near_duplicates(workspace, audit)
        counts = [0] * workspace.tasks
        for shard, own in itertools.groupby(stream, key=workspace.shard_of):
            counts[shard] = documents.write_documents(workspace.near_unique(shard), own)
        for shard, count in enumerate(counts):
            if not count:
                documents.write_documents(workspace.near_unique(shard), [])
        write_json(workspace.near_unique_counts, counts)
        workspace.write_audit_log("filter_near_duplicates", audit)
        progress.unit_done()


@dataclass(frozen=True)
class HashNgrams:
    """Hashes the n-grams of units of a shard's documents."""

    workspace: DomainWorkspace
    shard: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the hashes divided into buckets, with documents numbered from those of previous runs on."""
        workspace, step = self.workspace, self.workspace.substring_dedup
        assert step is not None
        offset = sum(each.count for each in previous_ngrams(step, workspace.recipe.domain))
        offset += sum(read_json(workspace.near_unique_counts)[: self.shard])
        split = unit_splitter(step)
        own = enumerate_documents([workspace.near_unique(self.shard)], offset)
        units = ((index, split(document.text)) for index, document in own)
        repeated_ngrams.write_ngrams(units, step.minimum_units, step.buckets, workspace.ngrams, self.shard)
        progress.unit_done()


@dataclass(frozen=True)
class FindRepeats:
    """Finds the n-grams of one bucket that occurred before, in the domain or in a previous run."""

    workspace: DomainWorkspace
    bucket: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the repeated n-grams, each with the place of its first occurrence."""
        workspace, step = self.workspace, self.workspace.substring_dedup
        assert step is not None
        files, count = [], 0
        for each in previous_ngrams(step, workspace.recipe.domain):
            files += [(path, count) for path in each.bucket(self.bucket)]
            count += each.count
        # This domain's documents are numbered from `count` on already.
        own = workspace.ngrams / f"{self.bucket:03d}"
        files += [(own / f"{shard:05d}.npy", 0) for shard in range(workspace.tasks)]
        repeated_ngrams.find_repeats(files, workspace.repeats(self.bucket), count)
        progress.unit_done()


@dataclass(frozen=True)
class WriteDomain:
    """Finishes a domain: drops what is left to drop, joins repositories, and writes it to the stage's artifact.

    What is left is copied passages for a domain with `substring_dedup`, and near duplicates for another with `minhash`.
    """

    workspace: DomainWorkspace
    output: Path
    documents_per_file: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes documents, removals and indexes to the artifact, and the funnel to the workspace."""
        workspace = self.workspace
        audit = workspace.new_audit_log()
        for path in sorted(workspace.audit_logs.glob("*.json")):
            audit.merge(read_json(path))
        if (step := workspace.substring_dedup) is not None:
            shards = [workspace.near_unique(shard) for shard in range(workspace.tasks)]
            repeats = [workspace.repeats(bucket) for bucket in range(step.buckets)]
            work = workspace.scratch("first_occurrences", os.getpid())
            previous = _previous_documents(step, workspace.recipe.domain)
            stream = substrings.remove_copies(shards, repeats, work, step, audit, previous)
        else:
            stream = _without_near_duplicates(workspace, audit)
        if (packing := workspace.pack_repositories) is not None:
            stream = pack_repositories(stream, workspace.scratch("packing", os.getpid()), packing, audit)
        write_domain(self.output, workspace.recipe, stream, audit, self.documents_per_file)
        save_index(self.output, workspace.recipe.domain, workspace.minhash, workspace.substring_dedup)
        write_json(workspace.funnel, audit.funnel())
        progress.unit_done()


def _previous_documents(step: SubstringDedup, domain: str) -> substrings.PreviousDocuments:
    previous = previous_ngrams(step, domain)
    files = [path for each in previous for path in each.documents]
    return substrings.PreviousDocuments(files, sum(each.count for each in previous), PreviousIds(step.against, domain))


def _without_near_duplicates(workspace: DomainWorkspace, audit: AuditLog) -> Iterator[Document]:
    """The domain's documents without exact duplicates, and without near ones if the recipe has `minhash`."""
    shards = [workspace.exact_unique(shard) for shard in range(workspace.tasks)]
    if (step := workspace.minhash) is None:
        return itertools.chain.from_iterable(map(documents.read_documents, shards))
    work = workspace.scratch("candidates", os.getpid())
    previous = [path for each in previous_signatures(step, workspace.recipe.domain) for path in each.documents]
    own = sum(minhash.signature_count(workspace.signatures(shard)) for shard in range(workspace.tasks))
    return near_duplicates.remove_near_duplicates(shards, own, previous, workspace.candidate_groups, work, step, audit)
