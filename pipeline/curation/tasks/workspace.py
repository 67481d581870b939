"""Where a domain's files lie while it is made: what one task writes for the next.

Sources are read in `tasks` parts. From exact deduplication on, documents are in the order of their ids, divided into as
many shards, equal ranges of ids: hashes of content, so shards are of about the same size, and every result is
independent of their number. All paths are below the stage's state, which goes when the stage is finished;
`write_domain` writes what stays.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datatrove.data import Document

from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.recipes.recipe import Recipe
from pipeline.curation.recipes.steps.duplicates import ExactDedup, MinHash, SubstringDedup
from pipeline.curation.recipes.steps.packing import PackRepositories
from pipeline.curation.text import documents

READ = "read"
"""The first line of every funnel: what the sources gave, and what was no text."""
SHARD_BITS = 32
"""Leading bits of an id that decide its shard."""
StepT = TypeVar("StepT")


@dataclass(frozen=True)
class DomainWorkspace:
    """The folder that a domain is made in, its recipe, and into how many parts its work is divided."""

    folder: Path
    recipe: Recipe
    tasks: int

    def filtered_part(self, task: int) -> Path:
        """File of the documents that one task read and filtered, in the order of their ids, with a range for each shard
        (`ranged_parts`)."""
        return self.folder / "filtered" / f"{task:05d}.jsonl.gz"

    def exact_unique(self, shard: int) -> Path:
        """File of a shard's documents without exact duplicates."""
        return self.folder / "exact_unique" / f"{shard:05d}.jsonl.gz"

    def signatures(self, shard: int) -> Path:
        """File of the MinHash signatures of a shard's documents in `exact_unique`, uint64 (buckets x documents)."""
        return self.folder / "signatures" / f"{shard:05d}.npy"

    @property
    def candidate_groups(self) -> Path:
        """Folder of the groups of documents that agree in a bucket, two files for each bucket."""
        return self.folder / "candidate_groups"

    def near_unique(self, shard: int) -> Path:
        """File of a shard's documents without near duplicates; only for a domain with `substring_dedup`."""
        return self.folder / "near_unique" / f"{shard:05d}.jsonl.gz"

    @property
    def near_unique_counts(self) -> Path:
        """File of the numbers of those documents, by shard."""
        return self.folder / "near_unique" / "counts.json"

    @property
    def ngrams(self) -> Path:
        """Folder of the hashes of those documents' n-grams, with a folder for each bucket and a file there by shard."""
        return self.folder / "ngrams"

    def repeats(self, bucket: int) -> Path:
        """File of the n-grams of one bucket that occurred before."""
        return self.folder / "repeats" / f"{bucket:03d}.npy"

    @property
    def audit_logs(self) -> Path:
        """Folder of the audit logs of this domain's tasks."""
        return self.folder / "audit_logs"

    @property
    def funnel(self) -> Path:
        """File of the counts of all steps, written when the domain is finished."""
        return self.folder / "funnel.json"

    def scratch(self, name: str, process_id: int) -> Path:
        """Folder for files that only one process uses: an attempt that was killed may have left its own."""
        return self.folder / f"{name}-{process_id}"

    @property
    def exact_dedup(self) -> ExactDedup | None:
        """The recipe's step of this name, if it has one."""
        return self._step(ExactDedup)

    @property
    def minhash(self) -> MinHash | None:
        """The recipe's step of this name, if it has one."""
        return self._step(MinHash)

    @property
    def substring_dedup(self) -> SubstringDedup | None:
        """The recipe's step of this name, if it has one."""
        return self._step(SubstringDedup)

    @property
    def pack_repositories(self) -> PackRepositories | None:
        """The recipe's step of this name, if it has one."""
        return self._step(PackRepositories)

    def _step(self, kind: type[StepT]) -> StepT | None:
        return next((step for step in self.recipe.steps if isinstance(step, kind)), None)

    def new_audit_log(self) -> AuditLog:
        """An empty log with the recipe's steps, after reading."""
        return AuditLog([READ, *(step.step for step in self.recipe.steps)])

    def write_audit_log(self, task: str, audit: AuditLog) -> None:
        """Writes what a task counted and removed, for the task that writes the domain."""
        write_json(self.audit_logs / f"{task}.json", audit.as_json())

    def shard_of(self, document: Document) -> int:
        """The number of the shard whose range a document's id lies in: its leading bits as a fraction, times the
        shards."""
        return int(str(document.id)[: SHARD_BITS // 4], 16) * self.tasks >> SHARD_BITS


def write_domain(
    output: Path, recipe: Recipe, stream: Iterable[Document], audit: AuditLog, documents_per_file: int
) -> None:
    """Writes a domain to the stage's artifact: documents, rows of removals, examples, and evidence where there is any.

    Args:
        output: folder of the artifact.
        recipe: of the domain; its fingerprint goes into the rows of removals.
        stream: the documents. An empty domain has one empty file.
        audit: of all steps; complete when the stream has been read to its end.
        documents_per_file: of all files but the last.
    """
    iterator = iter(stream)
    for number in itertools.count():
        chosen = list(itertools.islice(iterator, documents_per_file))
        if chosen or number == 0:
            name = f"{number:05d}.jsonl.gz"
            documents.write_documents(output / "documents" / recipe.domain / name, chosen)
        if len(chosen) < documents_per_file:
            break
    fingerprint = recipe.fingerprint
    removed = ({**row, "recipe": fingerprint} for row in audit.sorted_rows())
    documents.write_rows(output / "removed" / recipe.domain / "00000.jsonl.gz", removed)
    write_json(output / "examples" / f"{recipe.domain}.json", audit.examples.as_json())
    if audit.quarantined:
        rows = sorted(audit.quarantined, key=lambda row: (row["file"], row["offset"], row["reason"], row["excerpt"]))
        documents.write_rows(output / "quarantine" / recipe.domain / "00000.jsonl.gz", rows)
    if audit.matches:
        documents.write_rows(output / "matches" / recipe.domain / "00000.jsonl.gz", audit.sorted_matches())
