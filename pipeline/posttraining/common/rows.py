"""Reads the rows of a recipe's sources through curation's readers, with the columns that the shapes know.

What cannot be read, such as a line that is cut, comes as a bad row with its number, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loguru import logger

from pipeline.core.terminal import one_line
from pipeline.curation.readers import readers
from pipeline.curation.readers.bad_records import EXCERPT_CHARACTERS, RecordLocation
from pipeline.curation.readers.sources import Columns
from pipeline.curation.readers.where import unmet
from pipeline.posttraining.common.row_recipes import EnvironmentSource, RowSource

ANSWER, NO_ANSWER = "answer", "no_answer_mark"


@dataclass(frozen=True)
class Row:
    """A row of a source, or what stands for one that cannot be used."""

    file: str
    number: int
    """From 1, in its file or part."""
    values: dict[str, Any]
    bad: str | None = None
    """The reason for which it cannot be used, or None."""
    left_out: str | None = None
    """The column that is not as the source's `where` wants it, or None."""
    excerpt: str = ""
    """How a bad row begins, in printable characters."""

    @property
    def place(self) -> str:
        """File and number, as messages name them."""
        return f"{self.file}: row {self.number}"

    def put_aside(self, reason: str) -> dict[str, Any]:
        """The row of the quarantine for it."""
        return {"file": self.file, "row": self.number, "reason": reason, "excerpt": self.excerpt}


def items(source: RowSource) -> list[str]:
    """The files or parts of a source, each of which one task reads, in an order that is the same each time."""
    if isinstance(source.reads, EnvironmentSource):
        return [str(shard) for shard in range(source.reads.shards)]
    return readers.list_items(source.reads)


def read_rows(source: RowSource, item: str) -> Iterator[Row]:
    """The rows of a file or part of a source, those among them that are bad or that its `where` leaves out.

    Args:
        source: of a recipe; not a built-in one.
        item: one of its `items`.

    Raises:
        DataError: for a data set of the hub that cannot be opened.
    """
    # It says of each file that it is read, also where `fivephase plan` reads one.
    logger.disable("datatrove.pipeline.readers")
    for index, document in enumerate(readers.read(source.reads, [item], lambda count: None), start=1):
        location = document.location or RecordLocation(item, index - 1, "record")
        number = location.number or (location.offset + 1 if location.unit == "record" else index)
        if document.bad is not None:
            excerpt = one_line(document.text[:EXCERPT_CHARACTERS], EXCERPT_CHARACTERS)
            yield Row(location.file, number, {}, bad=document.bad, excerpt=excerpt)
            continue
        if (column := unmet(document.metadata, source.reads.where)) is not None:
            yield Row(location.file, number, {}, left_out=column)
            continue
        values = _with_nested(document.metadata, source.reads)
        bad = None
        if (mark := source.settings.answer_after) is not None:
            answer = str(values.get(ANSWER, ""))
            values[ANSWER] = answer.rpartition(mark)[2].strip()
            bad = None if mark in answer and values[ANSWER] else NO_ANSWER
        excerpt = one_line(str(values)[:EXCERPT_CHARACTERS], EXCERPT_CHARACTERS)
        yield Row(location.file, number, values, bad=bad, excerpt=excerpt)


def _with_nested(row: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """The row with what `columns` says by paths: `{reward_model.ground_truth: answer}`, `{kwargs: spec.kwargs}`."""
    values = dict(row)
    for path, name in columns.columns.items():
        found = row.get(name)
        if "." in path:
            found = row
            for key in path.split("."):
                found = found.get(key) if isinstance(found, dict) else None
        if found is None or "." not in path + name:
            continue
        *above, last = name.split(".")
        place = values
        for key in above:
            place = place.setdefault(key, {})
        place[last] = found
    return values
