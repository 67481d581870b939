"""The stage `sft_data`: raw conversations through the rules, and preference pairs for the reward model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import DataError
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.conversations import Conversation, raw_conversations
from pipeline.posttraining.data.preferences import preference_pairs
from pipeline.posttraining.data.rules import curate, identity_of


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file. Raises DataError naming the file and line that is none."""
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise DataError(f"{path}:{number} is not JSON: {error}") from error
    return rows


def _row(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": identity_of(conversation.messages),
        "source": conversation.source,
        "messages": conversation.messages,
    }


def run(context: StageContext[SftDataConfig]) -> StageResult:
    """Make, curate and write the conversations and the preference pairs."""
    config, output = context.config, context.output
    context.progress.start(total=config.conversations, unit="conversations", label="curate")
    raw = raw_conversations(config, context.derive_seed("problems"), context.random("raw"))
    kept, removed, repaired = curate(raw, config)
    context.progress.update(len(raw))
    # Which side a conversation falls on is decided by its content, so more data moves none of it.
    held_back = {
        position
        for position, conversation in enumerate(kept)
        if int(identity_of(conversation.messages)[:8], 16) < config.validation_share * 2**32
    }
    validation = [_row(kept[position]) for position in sorted(held_back)]
    train = [_row(conversation) for position, conversation in enumerate(kept) if position not in held_back]
    if not train or not validation:
        raise DataError(
            f"{context.stage}: {len(train)} conversations for training and {len(validation)} for validation "
            "are left, set more conversations or a larger validation_share"
        )
    write_rows(output / "train.jsonl", train)
    write_rows(output / "validation.jsonl", validation)
    write_rows(output / "removed.jsonl", removed)
    write_rows(output / "repaired.jsonl", repaired)
    seed, draw = context.derive_seed("preferences"), context.random("preferences")
    pairs = preference_pairs(config.preference_pairs, "train", config.problems, seed, draw)
    held_out = preference_pairs(config.preference_validation_pairs, "held_out", config.problems, seed, draw)
    write_rows(output / "preference_train.jsonl", pairs)
    write_rows(output / "preference_validation.jsonl", held_out)
    by_step = Counter(str(row["step"]) for row in removed)
    metrics = {f"removed/{step}": float(count) for step, count in sorted(by_step.items())}
    metrics |= {
        "conversations/train": float(len(train)),
        "conversations/validation": float(len(validation)),
        "conversations/repaired": float(len(repaired)),
        "preference_pairs/train": float(len(pairs)),
        "preference_pairs/validation": float(len(held_out)),
    }
    counts = {"in": len(raw), "kept": len(kept), "removed": len(removed)}
    samples = [{"prompt": row["messages"][0]["content"], "answer": row["messages"][1]["content"]} for row in train[:3]]
    return StageResult(metrics=metrics, counts=counts, samples=samples)
