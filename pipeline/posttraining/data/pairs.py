"""Preference pairs from elsewhere: rows of recipes and of files of one's own, checked as conversations are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.core.config import NAME
from pipeline.core.context import StageContext
from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.environments import split_of
from pipeline.environments.registry import Split
from pipeline.inference.conversation_ids import Message
from pipeline.posttraining.common.data_files import DataFile, SetAside
from pipeline.posttraining.common.rows import Row, read_rows
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.jsonl import append_jsonl, as_line, iterate_jsonl, write_jsonl
from pipeline.posttraining.data.own_files import read_own, set_aside_rows
from pipeline.posttraining.data.preferences import preference_pairs
from pipeline.posttraining.data.record import Conversation, conversation_id
from pipeline.posttraining.data.rules import Violation, conversation_rules, form_rules, normalized
from pipeline.posttraining.data.shapes import ShapeError, read_preference
from pipeline.posttraining.data.workspace import Part, Workspace

Sides = tuple[list[Message], list[Message], list[Message]]
"""Prompt, chosen and rejected reply."""
KNOWN = ("kind", "language")
"""Keys of a row that a pair keeps beside its messages: what is wrong with the rejected reply, and its language."""
MAX_NAME = 40
SPLITS = {"train": "preference_train", "held_out": "preference_validation"}


@dataclass(frozen=True)
class ReadPairs:
    """Reads the pairs of one part; both conversations of a pair must pass the rules, and their replies differ."""

    part: Part
    workspace: Workspace
    config: SftDataConfig

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the pairs that passed, each with its id and split, and the rows of those removed or put aside.

        Raises:
            DataError: for a row of a file of one's own that cannot be used, or a benchmark that cannot be read.
        """
        task = f"pairs-{self.part.number:05d}"
        removed: list[dict[str, Any]] = []
        aside: list[dict[str, Any]] = []

        def passed() -> Iterator[dict[str, Any]]:
            # A rejected reply may have any fault; that is what it is rejected for.
            rules = (conversation_rules(self.config), form_rules(self.config))
            for record in self._read():
                progress.document_done()
                if isinstance(record, Row):
                    if record.bad is not None:
                        aside.append(record.put_aside(record.bad))
                    continue
                (prompt, *replies), known = record
                both = [
                    normalized(Conversation([*prompt, *reply], self.part.source.name, own=True)) for reply in replies
                ]
                start, (chosen, rejected) = len(prompt), [each.messages[len(prompt) :] for each in both]
                pair_id = conversation_id([*both[0].messages, *rejected])
                checked = ((rule, each) for each, its in zip(both, rules, strict=True) for rule in its)
                violation = next((found for rule, each in checked if (found := rule(each))), None)
                if violation is None and chosen == rejected:
                    violation = Violation("preference", "chosen and rejected are equal", "equal", "different")
                if violation is not None:
                    removed.append(violation.log_row(pair_id))
                    continue
                pair = {"prompt": both[0].messages[:start], "chosen": chosen, "rejected": rejected, **known}
                yield {"id": pair_id, "split": split_of(both[0].question), "pair": pair}

        write_jsonl(self.workspace.pairs(self.part.number), passed())
        write_jsonl(self.workspace.log("removed_pairs", task), removed)
        write_jsonl(self.workspace.log("quarantine", task), aside)
        progress.unit_done()

    def _read(self) -> Iterator[tuple[Sides, dict[str, str]] | Row]:
        source = self.part.source
        if isinstance(source, DataFile):
            aside: SetAside = []
            for _, pair in read_own([source], lambda row: (read_preference(row), _known(row)), aside):
                yield pair
            yield from set_aside_rows(aside)
            return
        for row in read_rows(source, self.part.item):
            if row.bad is not None or row.left_out is not None:
                yield row
                continue
            try:
                yield read_preference(row.values), _known(row.values)
            except ShapeError as error:
                yield replace(row, bad=str(error))


def _known(row: Mapping[str, Any]) -> dict[str, str]:
    """What a row says of itself that can be the name of a metric."""
    given = {key: str(row.get(key) or "") for key in KNOWN}
    return {key: value for key, value in given.items() if len(value) <= MAX_NAME and NAME.fullmatch(value)}


def write_pairs(context: StageContext[SftDataConfig], workspace: Workspace, parts: Sequence[Part]) -> dict[str, int]:
    """Writes the built-in pairs, then those of the parts, each once, to a file for each split.

    Returns:
        How many pairs each split has, by `train` and `held_out`.

    Memory: some 100 bytes for each pair of the parts.
    """
    config, output, removed = context.config, context.output, workspace.log("removed_pairs", "write")
    seed, draw = context.derive_seed("preferences"), context.random("preferences")
    counts: dict[str, int] = {}
    numbers: dict[Split, int] = {"train": config.preference_pairs, "held_out": config.preference_validation_pairs}
    for split, number in numbers.items():
        built_in = preference_pairs(number, split, config.problems, seed, draw)
        counts[split] = write_jsonl(output / f"{SPLITS[split]}.jsonl", built_in)
    removed.unlink(missing_ok=True)
    seen: set[bytes] = set()
    files = {split: (output / f"{name}.jsonl").open("a", encoding="utf-8") for split, name in SPLITS.items()}
    try:
        for part in parts:
            for row in iterate_jsonl(workspace.pairs(part.number)):
                key = bytes.fromhex(row["id"])[:16]
                if key in seen:
                    append_jsonl(
                        removed, [Violation("exact_dedup", "duplicate", row["id"], "unique").log_row(row["id"])]
                    )
                    continue
                seen.add(key)
                files[row["split"]].write(as_line(row["pair"]))
                counts[row["split"]] += 1
    finally:
        for file in files.values():
            file.close()
    if parts:
        write_jsonl(output / "preference_removed.jsonl", workspace.log_rows("removed_pairs"))
    return counts
