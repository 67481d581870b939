"""The account of what steps do to documents: at each step in = kept + removed, and a reason for every removal."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from datatrove.data import Document

from pipeline.curation.audit.examples import Examples
from pipeline.curation.audit.filter_result import FilterResult, Removal


@dataclass
class StepCount:
    """What a step did, in documents and characters of their texts."""

    into: int = 0
    """Documents that came to the step."""
    kept: int = 0
    removed: int = 0
    edited: int = 0
    """Of those kept, how many had their text changed."""
    characters_in: int = 0
    characters_kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Removed documents by reason."""
    found: Counter[str] = field(default_factory=Counter)
    """What the step found in documents, by kind, where it counts such things."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for the report, in which `into` is called `in`."""
        assert self.into == self.kept + self.removed, self
        row = asdict(self)
        reasons, found = (dict(sorted(each.items())) for each in (self.reasons, self.found))
        return {"in": row.pop("into"), **row, "reasons": reasons, "found": found}


class AuditLog:
    """Counts for each step, in the order of the steps, and rows for what is written beside the documents.

    For each document a step calls either `keep` or `remove`.
    """

    def __init__(self, steps: Iterable[str]) -> None:
        """Starts with nothing counted. `steps` are the names of the steps, in their order."""
        self.counts = {step: StepCount() for step in steps}
        self.rows: list[dict[str, Any]] = []
        """One for each document removed."""
        self.matches: list[dict[str, Any]] = []
        """Evidence of what steps found, such as text shared with a benchmark."""
        self.quarantined: list[dict[str, Any]] = []
        """One for each record that is no document."""
        self.examples = Examples()

    def keep(self, step: str, characters_in: int, characters_kept: int, edited: bool = False) -> None:
        """Counts a document that passed a step, with the length of its text before and after."""
        count = self.counts[step]
        count.into += 1
        count.kept += 1
        count.edited += edited
        count.characters_in += characters_in
        count.characters_kept += characters_kept

    def remove(self, step: str, document: Document, removal: Removal) -> None:
        """Counts a document that did not pass a step, and writes its row. It must still have its text from before."""
        count = self.counts[step]
        count.into += 1
        count.removed += 1
        count.characters_in += len(document.text)
        count.reasons[removal.reason] += 1
        self.examples.remove(step, document, removal)
        self.rows.append(
            {"id": str(document.id), "step": step, "origin": document.metadata["origin"], **asdict(removal)}
        )

    def note_findings(self, step: str, document: Document, result: FilterResult) -> None:
        """Counts what a step found in a document, and notes the evidence under the id that the document came with."""
        self.counts[step].found.update(result.counts)
        document_row = {"id": str(document.id), "step": step, "origin": document.metadata["origin"]}
        self.matches += [{**document_row, **match} for match in result.matches]

    def merge(self, other: dict[str, Any]) -> None:
        """Adds what `as_json` of another log of the same steps gave, such as another task's."""
        self.rows += other["rows"]
        self.matches += other["matches"]
        self.quarantined += other["quarantined"]
        self.examples.merge(other["examples"])
        for step, values in other["counts"].items():
            count = self.counts[step]
            count.into += values["in"]
            for name in ("kept", "removed", "edited", "characters_in", "characters_kept"):
                setattr(count, name, getattr(count, name) + values[name])
            count.reasons.update(values["reasons"])
            count.found.update(values["found"])

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values that `merge` takes."""
        return {
            "counts": {step: count.as_json() for step, count in self.counts.items()},
            "rows": self.rows,
            "matches": self.matches,
            "quarantined": self.quarantined,
            "examples": self.examples.as_json(),
        }

    def funnel(self) -> list[dict[str, Any]]:
        """The counts of each step as plain values, in the order of the steps."""
        return [{"step": step, **count.as_json()} for step, count in self.counts.items()]

    def sorted_rows(self) -> list[dict[str, Any]]:
        """The rows of removals by step, then by id: in the same order however the work was divided."""
        position = {step: index for index, step in enumerate(self.counts)}
        return sorted(
            self.rows,
            key=lambda row: (position[row["step"]], row["id"], row["origin"], row["duplicate_of"] or ""),
        )

    def sorted_matches(self) -> list[dict[str, Any]]:
        """The evidence by step, id and origin, then by what it says: in the same order however the work was divided."""
        position = {step: index for index, step in enumerate(self.counts)}
        return sorted(
            self.matches,
            key=lambda row: (position[row["step"]], row["id"], row["origin"], json.dumps(row, sort_keys=True)),
        )
