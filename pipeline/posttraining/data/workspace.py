"""Where the records of a stage lie while they are read, checked and compared, and who does the tasks.

The work is divided into parts, each a file or part of a source. Parts are numbered in the order of the sources, and
records keep that order: however many tasks ran at a time, the same records come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.context import StageContext
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.executors.run_tasks import Task, run_tasks
from pipeline.posttraining.common.data_files import DataFile
from pipeline.posttraining.common.row_recipes import RowSource
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.jsonl import append_jsonl, iterate_jsonl

READ, RULES, JUDGE, EXACT, NEAR, SHARE = "read", "rules", "judge", "exact_dedup", "minhash", "share"
STEPS = (READ, RULES, JUDGE, EXACT, NEAR, SHARE)
"""The lines of the stage's funnel; a row of a removal by `RULES` names the rule as its step."""


@dataclass(frozen=True)
class Part:
    """What one task reads: a file or part of a recipe's source, or a file of one's own."""

    number: int
    source: RowSource | DataFile
    item: str = ""

    @property
    def compared(self) -> bool:
        """Whether its records are compared with others word by word. Problems of the generators are not: MinHash takes
        all numbers for one, and so all problems of a form."""
        return isinstance(self.source, DataFile) or not self.source.is_built_in


@dataclass(frozen=True)
class Workspace:
    """The files of all parts, below the stage's state."""

    folder: Path
    judged: bool = False
    """Whether a judge comes between the rules and the comparison."""

    def checked(self, number: int) -> Path:
        """File of a part's records that passed the rules, as documents in the order in which they were read."""
        return self.folder / "checked" / f"{number:05d}.jsonl.gz"

    def ids(self, number: int) -> Path:
        """File of the first 128 bits of those records' ids, uint64 (records x 2)."""
        return self.folder / "ids" / f"{number:05d}.npy"

    def passed(self, number: int) -> Path:
        """File of those of them that the judge left, in the same order; without a judge all of them."""
        return self.folder / "judged" / f"{number:05d}.jsonl.gz" if self.judged else self.checked(number)

    def passed_ids(self, number: int) -> Path:
        """File of the first 128 bits of the ids of those, uint64 (records x 2)."""
        return self.folder / "judged_ids" / f"{number:05d}.npy" if self.judged else self.ids(number)

    def duplicates(self, number: int) -> Path:
        """File that says for each of those records whether an earlier one is equal, bool."""
        return self.folder / "duplicates" / f"{number:05d}.npy"

    def unique(self, number: int) -> Path:
        """File of a part's records without copies of earlier ones, in the same order."""
        return self.folder / "unique" / f"{number:05d}.jsonl.gz"

    def signatures(self, number: int) -> Path:
        """File of the MinHash signatures of those, uint64 (buckets x records)."""
        return self.folder / "signatures" / f"{number:05d}.npy"

    @property
    def candidate_groups(self) -> Path:
        """Folder of the groups of records that agree in a bucket of their signatures."""
        return self.folder / "candidate_groups"

    def pairs(self, number: int) -> Path:
        """File of a part's preference pairs that passed the rules."""
        return self.folder / "pairs" / f"{number:05d}.jsonl"

    def log(self, kind: str, task: str) -> Path:
        """File of the rows of one kind that a task wrote: `removed`, `repaired`, `judged` or `quarantine`."""
        return self.folder / "logs" / f"{task}.{kind}.jsonl"

    def counts(self, task: str) -> Path:
        """File of what a task counted at each step, with its examples."""
        return self.folder / "logs" / f"{task}.json"

    def log_rows(self, kind: str) -> Iterator[dict[str, Any]]:
        """The rows of one kind of all tasks, in the order of the tasks' names."""
        for path in sorted((self.folder / "logs").glob(f"*.{kind}.jsonl")):
            yield from iterate_jsonl(path)


def new_audit() -> AuditLog:
    """An empty account of the stage's steps."""
    return AuditLog(STEPS)


def move_rows(audit: AuditLog, path: Path) -> None:
    """Appends the rows of removals that an account holds to a file, so that they do not gather in memory."""
    append_jsonl(path, audit.rows)
    audit.rows.clear()


def do(context: StageContext[SftDataConfig], label: str, tasks: Sequence[Task]) -> None:
    """Does the tasks of a step, those that an earlier attempt has not done, by the stage's executor.

    A single task, or all of one worker, is done in this process.

    Raises:
        Requeue: after a stop signal; what is done stays done.
        UserError: what a task raised.
    """
    config = context.config
    context.progress.start(len(tasks), "tasks", label)

    def show(units: int, documents: int) -> None:
        context.progress.note(conversations=documents)
        context.progress.update(units)

    folder = context.state / "done" / label.replace(" ", "-")
    here = config.executor.kind == "local" and (len(tasks) == 1 or config.workers == 1)
    run_tasks(tasks, folder, config.executor, config.workers, show, context.stop_requested, here)
