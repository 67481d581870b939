"""Duplicates among the records of all sources: equal tools and messages by hash, similar ones by MinHash.

Of duplicates the record stays that comes first in the order of sources, and in a source in the order of its rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy
from datatrove.data import Document

from pipeline.core.arrays import write_array
from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.dedup import lsh_buckets, minhash, near_duplicates
from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.recipes.steps.duplicates import MinHash
from pipeline.curation.text import documents
from pipeline.posttraining.data.config import NearDuplicates
from pipeline.posttraining.data.jsonl import write_jsonl
from pipeline.posttraining.data.workspace import EXACT, NEAR, Part, Workspace, move_rows, new_audit


def find_copies(workspace: Workspace, parts: Sequence[Part]) -> None:
    """Writes for each part which of its records equal an earlier one, by 128 bits of their ids.

    Memory: some 50 bytes for each record of all parts.
    """
    ids = [numpy.load(workspace.passed_ids(part.number)) for part in parts]
    every = numpy.concatenate(ids)
    # Stable: of equal ids the first record is first.
    order = numpy.lexsort((every[:, 1], every[:, 0]))
    ordered = every[order]
    copies = numpy.zeros(len(every), bool)
    copies[order[1:]] = (ordered[1:] == ordered[:-1]).all(axis=1)
    ends = numpy.cumsum([len(each) for each in ids])
    for part, mine in zip(parts, numpy.split(copies, ends[:-1]), strict=True):
        write_array(workspace.duplicates(part.number), mine)


@dataclass(frozen=True)
class DropCopies:
    """Drops the records of a part that equal an earlier one, and signs the others where they are to be compared."""

    part: Part
    workspace: Workspace
    step: MinHash | None
    """How signatures are made; None makes none."""

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the records that stay, their signatures, and the rows and counts of those that go."""
        number, audit = self.part.number, new_audit()
        copies = numpy.load(self.workspace.duplicates(number))
        stream = self._without_copies(copies, audit, progress)
        unique = self.workspace.unique(number)
        count = documents.write_documents(unique, stream)
        write_jsonl(self.workspace.log("removed", f"unique-{number:05d}"), audit.rows)
        audit.rows.clear()
        write_json(self.workspace.counts(f"unique-{number:05d}"), audit.as_json())
        if self.step is not None:
            path = self.workspace.signatures(number)
            if self.part.compared:
                minhash.write_signatures(documents.read_documents(unique), self.step, path)
            else:
                write_array(path, numpy.full((self.step.buckets, count), minhash.NO_SHINGLES))
        progress.unit_done()

    def _without_copies(self, copies: numpy.ndarray, audit: AuditLog, progress: TaskProgress) -> Iterator[Document]:
        checked = documents.read_documents(self.workspace.passed(self.part.number))
        for is_copy, document in zip(copies.tolist(), checked, strict=True):
            progress.document_done()
            if is_copy:
                audit.remove(EXACT, document, Removal(reason="same_content", duplicate_of=str(document.id)))
                audit.rows[-1]["source"] = document.metadata["source"]
                continue
            audit.keep(EXACT, len(document.text), len(document.text))
            yield document


@dataclass(frozen=True)
class Buckets:
    """Finds the records of all parts that agree in one bucket of their signatures."""

    bucket: int
    parts: int
    workspace: Workspace

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the bucket's groups of candidates."""
        signatures = [self.workspace.signatures(number) for number in range(self.parts)]
        lsh_buckets.write_candidate_groups(signatures, self.bucket, self.workspace.candidate_groups)
        progress.unit_done()


def minhash_step(config: NearDuplicates | None) -> MinHash | None:
    """Curation's step with the stage's settings, or None for a stage that does not look for near duplicates.

    Numbers count: another problem of the same form is another problem.
    """
    return MinHash(step="minhash", numbers_alike=False, **asdict(config)) if config is not None else None


def without_near_duplicates(
    workspace: Workspace, parts: Sequence[Part], step: MinHash | None, audit: AuditLog
) -> Iterator[Document]:
    """The records of all parts that stay, in order; the rows of those that go are added to the log as they come."""
    paths = [workspace.unique(part.number) for part in parts]
    if step is None:
        for document in itertools.chain.from_iterable(map(documents.read_documents, paths)):
            audit.keep(NEAR, len(document.text), len(document.text))
            yield document
        return
    own = sum(minhash.signature_count(workspace.signatures(part.number)) for part in parts)
    log = workspace.log("removed", "write-near")
    log.unlink(missing_ok=True)
    work = workspace.folder / "candidates"
    for document in near_duplicates.remove_near_duplicates(
        paths, own, [], workspace.candidate_groups, work, step, audit, keep_first=True
    ):
        move_rows(audit, log)
        yield document
    move_rows(audit, log)
