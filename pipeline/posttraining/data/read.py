"""The task that reads a part of a source: rows become records, and those that pass the rules are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy
from datatrove.data import Document

from pipeline.core.arrays import write_array
from pipeline.core.context import derive_seed
from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.text import documents
from pipeline.posttraining.common.data_files import DataFile, SetAside
from pipeline.posttraining.common.row_recipes import RowSource
from pipeline.posttraining.common.rows import Row, items, read_rows
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.conversations import raw_conversations
from pipeline.posttraining.data.jsonl import write_jsonl
from pipeline.posttraining.data.own_files import own_conversations, set_aside_rows
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules import Value, Violation, conversation_rules, repair_row, repaired
from pipeline.posttraining.data.shapes import ShapeError, read_conversation, read_documents
from pipeline.posttraining.data.workspace import READ, RULES, Part, Workspace, new_audit

LANGUAGES = {
    "eng": "en", "deu": "de", "spa": "es", "fra": "fr", "jpn": "ja", "por": "pt", "arb": "ar", "ara": "ar", "ces": "cs",
    "ita": "it", "kor": "ko", "nld": "nl", "zho": "zh",
}  # fmt: skip
"""ISO 639-1 of the twelve languages by their codes of three letters."""
ID_CHARACTERS = 32
"""Of an id, those that are compared: 128 bits."""


@dataclass(frozen=True)
class ReadAndCheck:
    """Reads one part and applies the rules, record by record."""

    part: Part
    workspace: Workspace
    config: SftDataConfig
    seed: int
    """Of the run."""
    stage: str
    """Name of the stage, which the random streams depend on."""

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the records that passed, their ids, the rows of what was removed, repaired or put aside, and counts.

        Raises:
            DataError: for a row of a file of one's own that cannot be used, or a benchmark that cannot be read.
        """
        task, audit = f"{self.part.number:05d}", new_audit()
        removed: list[dict[str, Any]] = []
        mended: list[dict[str, Value]] = []
        aside: list[dict[str, Any]] = []
        ids: list[str] = []

        def passed() -> Iterator[Document]:
            for document in self._passed(audit, removed, mended, aside):
                progress.document_done()
                ids.append(str(document.id)[:ID_CHARACTERS])
                yield document

        documents.write_documents(self.workspace.checked(self.part.number), passed())
        words = numpy.array([[int(each[:16], 16), int(each[16:], 16)] for each in ids], numpy.uint64)
        write_array(self.workspace.ids(self.part.number), words.reshape(-1, 2))
        for kind, rows in (("removed", removed), ("repaired", mended), ("quarantine", aside)):
            write_jsonl(self.workspace.log(kind, f"read-{task}"), rows)
        audit.rows.clear()
        write_json(self.workspace.counts(f"read-{task}"), audit.as_json())
        progress.unit_done()

    def _passed(
        self,
        audit: AuditLog,
        removed: list[dict[str, Any]],
        mended: list[dict[str, Value]],
        aside: list[dict[str, Any]],
    ) -> Iterator[Document]:
        rules = conversation_rules(self.config)
        for origin, conversation in self._records(audit, aside):
            raw = conversation.to_document(origin, self.part.source.name)
            clean, repairs = repaired(conversation)
            violation = next(filter(None, (rule(clean) for rule in rules)), None)
            if violation is not None:
                audit.remove(RULES, raw, _removal(violation))
                removed.append({**audit.rows.pop(), **violation.log_row(str(raw.id)), "source": conversation.source})
                continue
            document = clean.to_document(origin, self.part.source.name)
            if edited := document.id != raw.id:
                mended.append(repair_row(str(raw.id), str(document.id), repairs))
            audit.keep(RULES, len(raw.text), len(document.text), edited)
            yield document

    def _records(self, audit: AuditLog, aside: list[dict[str, Any]]) -> Iterator[tuple[str, Conversation]]:
        """The records of the part, each with where it is from; what is no record is counted and put aside."""
        for origin, record in self._read():
            if isinstance(record, Conversation):
                length = len(record.text)
                audit.keep(READ, length, length)
                yield origin, record
                continue
            reason = f"where_{record.left_out}" if record.left_out is not None else str(record.bad)
            audit.remove(READ, Document(record.excerpt, "", metadata={"origin": origin}), Removal(reason=reason))
            audit.rows.clear()
            if record.bad is not None:
                aside.append(record.put_aside(record.bad))

    def _read(self) -> Iterator[tuple[str, Conversation | Row]]:
        source = self.part.source
        if isinstance(source, DataFile):
            aside: SetAside = []
            for number, conversation in enumerate(own_conversations([source], aside), start=1):
                yield f"{source.name}#{number:09d}", conversation
            for row in set_aside_rows(aside):
                yield row.place, row
        elif source.is_built_in:
            for number, conversation in enumerate(self._built_in(source), start=1):
                yield f"{source.name}/{self.part.item}#{number:09d}", conversation
        else:
            for row in read_rows(source, self.part.item):
                yield f"{row.file}#{row.number:09d}", row_conversation(row, source)

    def _built_in(self, source: RowSource) -> Iterator[Conversation]:
        shard, shards = int(self.part.item), len(items(source))
        ends = [self.config.conversations * number // shards for number in (shard, shard + 1)]
        # The names of a single part are those of the time before there were several.
        names = [name if shards == 1 else f"{name}/{shard}" for name in ("problems", "raw")]
        problems, draw = (derive_seed(self.seed, self.stage, name) for name in names)
        config = replace(self.config, conversations=ends[1] - ends[0])
        for each in raw_conversations(config, problems, Random(draw)):
            yield replace(each, domain=source.domain, language=source.language, licence=source.licence)


def row_conversation(row: Row, source: RowSource) -> Conversation | Row:
    """The record of a row of a recipe's source, or the row with the reason why it is none."""
    if row.bad is not None or row.left_out is not None:
        return row
    try:
        messages, tools = read_conversation(row.values)
        given = read_documents(row.values)
    except ShapeError as error:
        return replace(row, bad=str(error))
    language, licence = (row.values.get(name) for name in ("language", "license"))
    return Conversation(
        messages,
        source.name,
        tools=tools,
        own=True,
        documents=given,
        domain=source.domain,
        language=LANGUAGES.get(language, language) if isinstance(language, str) else source.language,
        licence=licence if isinstance(licence, str) else source.licence,
    )


def _removal(violation: Violation) -> Removal:
    """A violation as the audit counts it: by its rule, with what was measured where that is a number."""
    value, threshold = violation.value, violation.threshold
    numbers = isinstance(value, int | float) and isinstance(threshold, int | float)
    return Removal(
        reason=violation.rule,
        value=float(value) if numbers else None,
        threshold=float(threshold) if numbers else None,
    )
