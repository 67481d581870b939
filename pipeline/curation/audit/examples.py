"""A few documents for every reason of every step: what it removed, and what it nearly removed.

Which ones are shown does not depend on how the work was divided: of the removed, those with the smallest ids, which are
hashes and so make a random sample; of the kept, those closest to the limit.
"""

from collections.abc import Mapping
from typing import Any

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, Removal

MAX_EXAMPLES = 3
"""Removed documents shown for each reason, and as many that were nearly removed."""
EXCERPT_CHARACTERS = 160
HIDDEN_STEPS = ("pii", "secrets")
"""Steps whose documents hold what must not be shown: their examples have no excerpt."""

Rows = list[dict[str, Any]]


class Examples:
    """The removed and the nearly removed documents to show, by step and reason."""

    def __init__(self) -> None:
        """Starts with no examples of either kind."""
        self.removed: dict[str, dict[str, Rows]] = {}
        self.near: dict[str, dict[str, Rows]] = {}

    def remove(self, step: str, document: Document, removal: Removal) -> None:
        """Takes a removed document as an example, if it is one of those to show."""
        row = _row(step, document, removal.value, removal.threshold)
        _insert(self.removed, step, removal.reason, [row])

    def keep(self, step: str, document: Document, checks: tuple[Check, ...]) -> None:
        """Takes a kept document as an example for each limit it was held against, if it is among the closest."""
        for check in checks:
            distance = check.distance
            known = self.near.get(step, {}).get(check.reason, [])
            if len(known) < MAX_EXAMPLES or distance <= known[-1]["distance"]:
                row = _row(step, document, check.value, check.threshold) | {"distance": distance}
                _insert(self.near, step, check.reason, [row])

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values that `merge` takes."""
        return {"removed": self.removed, "near": self.near}

    def merge(self, other: Mapping[str, Any]) -> None:
        """Adds the examples that `as_json` of another task gave, and keeps those to show."""
        for name, mine in (("removed", self.removed), ("near", self.near)):
            for step, reasons in other[name].items():
                for reason, rows in reasons.items():
                    _insert(mine, step, reason, rows)


def _row(step: str, document: Document, value: float | None, threshold: float | None) -> dict[str, Any]:
    shown = "" if step in HIDDEN_STEPS else document.text[: 2 * EXCERPT_CHARACTERS]
    excerpt = " ".join(shown.split())[:EXCERPT_CHARACTERS]
    return {"id": str(document.id), "value": value, "threshold": threshold, "excerpt": excerpt}


def _insert(kept: dict[str, dict[str, Rows]], step: str, reason: str, rows: Rows) -> None:
    reasons = kept.setdefault(step, {})
    best = [*reasons.get(reason, []), *rows]
    best.sort(key=lambda row: (row.get("distance", 0.0), row["id"], row["excerpt"]))
    reasons[reason] = best[:MAX_EXAMPLES]
