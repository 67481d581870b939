"""Writes what is left when all is read, checked and compared: the conversations, what was done, and where from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datatrove.data import Document

from pipeline.core.context import StageContext
from pipeline.core.errors import DataError
from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.environments import split_of
from pipeline.posttraining.common.data_files import DataFile
from pipeline.posttraining.common.row_recipes import RowSource, disclosed
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.jsonl import as_line, write_jsonl
from pipeline.posttraining.data.workspace import Part, Workspace

NAME = "conversations"
"""Of the funnel in the report."""
LANGUAGE = "language/"


@dataclass
class Written:
    """What was written of the conversations."""

    splits: Counter[str] = field(default_factory=Counter)
    """Conversations by `train` and `validation`."""
    domains: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    datasets: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    """By domain and name of the source: `records`, `bytes` of their texts, and records in each `language/<code>`."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """The first of them, to show."""


def write_conversations(context: StageContext[SftDataConfig], stream: Iterable[Document]) -> Written:
    """Writes `train.jsonl` and `validation.jsonl`, one record at a time.

    Raises:
        DataError: if one of them would be empty.
    """
    written, config = Written(), context.config
    paths = {split: context.output / f"{split}.jsonl" for split in ("train", "validation")}
    with paths["train"].open("w", encoding="utf-8") as train, paths["validation"].open("w", encoding="utf-8") as held:
        for document in stream:
            row = document.metadata["row"]
            question = _first(row, "user")
            # Which split a conversation falls into is decided by its content, so more data moves none of it.
            if document.metadata["own"]:
                held_out = split_of(question) == "held_out"
            else:
                held_out = int(row["id"][:8], 16) < config.validation_share * 2**32
            (held if held_out else train).write(as_line(row))
            written.splits["validation" if held_out else "train"] += 1
            written.domains[row.get("domain", "")] += 1
            written.licences[row.get("licence", "")] += 1
            count = written.datasets.setdefault((row.get("domain", ""), document.metadata["dataset"]), Counter())
            count.update(records=1, bytes=len(document.text.encode()))
            if language := row.get("language"):
                count[f"{LANGUAGE}{language}"] += 1
            if not held_out and len(written.samples) < 3:
                written.samples.append({"prompt": question, "answer": _first(row, "assistant")})
    if not written.splits["train"] or not written.splits["validation"]:
        raise DataError(
            f"{context.stage}: {written.splits['train']} conversations for training and "
            f"{written.splits['validation']} for validation are left, set more conversations or a larger "
            "validation_share, or add rows to files"
        )
    return written


def _first(row: Mapping[str, Any], role: str) -> str:
    return next(message["content"] for message in row["messages"] if message["role"] == role)


def write_report(
    context: StageContext[SftDataConfig], workspace: Workspace, parts: Sequence[Part], audit: AuditLog, written: Written
) -> int:
    """Writes the rows of what was removed, repaired or put aside, the funnel, and the disclosure of the sources.

    Returns:
        How many rows of conversations and preferences were put aside.
    """
    output = context.output
    for kind in ("removed", "repaired"):
        write_jsonl(output / f"{kind}.jsonl", workspace.log_rows(kind))
    if workspace.judged:
        write_jsonl(output / "judged.jsonl", workspace.log_rows("judged"))
    aside = write_jsonl(output / "quarantine.jsonl", workspace.log_rows("quarantine"))
    if not aside:
        (output / "quarantine.jsonl").unlink()
    funnel = audit.funnel()
    write_json(
        output / "report.json",
        {
            NAME: {
                "in": funnel[0]["in"],
                "kept": funnel[-1]["kept"],
                "bytes": sum(count["bytes"] for count in written.datasets.values()),
                "steps": funnel,
                "quarantined": aside,
                "domains": dict(sorted(written.domains.items())),
                "licences": dict(sorted(written.licences.items())),
                "sources": {
                    f"{domain}/{name}" if domain else name: dict(count)
                    for (domain, name), count in sorted(written.datasets.items())
                },
            }
        },
    )
    write_json(output / "examples" / f"{NAME}.json", audit.examples.as_json())
    sources = [part.source for part in parts if not isinstance(part.source, DataFile)]
    named = {(source.domain, source.name): source for source in sources}
    write_json(output / "disclosure.json", [_disclosed(source, written) for source in named.values()])
    return aside


def _disclosed(source: RowSource, written: Written) -> dict[str, Any]:
    count = written.datasets.get((source.domain, source.name), Counter())
    languages = [key.removeprefix(LANGUAGE) for key in count if key.startswith(LANGUAGE)]
    return disclosed(source, count["records"], count["bytes"], languages)
