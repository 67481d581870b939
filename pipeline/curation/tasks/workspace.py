"""Where the parts of a domain lie while it is made; what passes from one task to the next.

Documents are always in the order of their ids, divided into as many ranges of ids as there are tasks, so that nothing
depends on that number.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document

from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.recipes.recipe import Recipe
from pipeline.curation.recipes.steps.duplicates import MinHash, SubstringDedup
from pipeline.curation.recipes.steps.packing import PackRepositories
from pipeline.curation.text import documents

READ = "read"
"""The first line of every funnel: what the sources gave, and what was no text."""
SHARD_BITS = 32


@dataclass(frozen=True)
class DomainWorkspace:
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

    def audit(self, name: str) -> Path:
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

    @property
    def substrings(self) -> SubstringDedup | None:
        """The recipe's step against copies within documents, if it has one."""
        return next((step for step in self.recipe.steps if isinstance(step, SubstringDedup)), None)

    @property
    def packing(self) -> PackRepositories | None:
        """The recipe's step that joins files, if it has one."""
        return next((step for step in self.recipe.steps if isinstance(step, PackRepositories)), None)

    def thin(self, shard: int) -> Path:
        """A range of ids without near duplicates."""
        return self.folder / "thin" / f"{shard:05d}.jsonl.gz"

    @property
    def runs(self) -> Path:
        """Hashes of runs of units."""
        return self.folder / "runs"

    def repeats(self, bucket: int) -> Path:
        """Runs that occurred before."""
        return self.folder / "repeats" / f"{bucket:03d}.npy"

    def new_audit(self) -> AuditLog:
        """An empty account with the recipe's steps."""
        return AuditLog([READ, *(step.step for step in self.recipe.steps)])

    def shard_of(self, identity: str) -> int:
        """The range that an id lies in."""
        return int(identity[: SHARD_BITS // 4], 16) * self.tasks >> SHARD_BITS


def write_domain(
    output: Path, recipe: Recipe, stream: Iterable[Document], audit: AuditLog, documents_per_file: int
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
    fingerprint = recipe.fingerprint
    removed = ({**row, "recipe": fingerprint} for row in audit.sorted_rows())
    documents.write_rows(output / "removed" / recipe.domain / "00000.jsonl.gz", removed)
    write_json(output / "examples" / f"{recipe.domain}.json", audit.examples.as_json())
    if audit.quarantined:
        rows = sorted(audit.quarantined, key=lambda row: (row["file"], row["offset"], row["reason"], row["excerpt"]))
        documents.write_rows(output / "quarantine" / recipe.domain / "00000.jsonl.gz", rows)
    if audit.matches:
        documents.write_rows(output / "matches" / recipe.domain / "00000.jsonl.gz", audit.sorted_matches())
