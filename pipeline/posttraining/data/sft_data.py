"""The stage `sft_data`: conversations that passed the rules, and preference pairs for the reward model."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import DataError
from pipeline.environments import split_of
from pipeline.posttraining.common.data_files import SetAside
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.conversations import Conversation, raw_conversations
from pipeline.posttraining.data.jsonl import write_jsonl
from pipeline.posttraining.data.own_files import own_conversations, own_preferences
from pipeline.posttraining.data.preferences import preference_pairs
from pipeline.posttraining.data.rules import apply_rules, conversation_id


def run(context: StageContext[SftDataConfig]) -> StageResult:
    """Makes and curates conversations and preference pairs, and writes them as JSON lines.

    `train.jsonl` and `validation.jsonl` hold the conversations that were kept, `removed.jsonl` and `repaired.jsonl` the
    rules' log, `preference_train.jsonl` and `preference_validation.jsonl` the pairs, the latter on held-out prompts.
    `quarantine.jsonl` names the rows of files that were set aside, if there are any.
    Conversations of one's own files follow the built-in ones; those with a held-out first question are for validation.

    Raises:
        DataError: if no conversation is left to train on or to validate with, or a file cannot be read.
    """
    config, output = context.config, context.output
    aside: SetAside = []
    own = own_conversations(config, aside)
    context.progress.start(total=config.conversations + len(own), counted="conversations", label="curate")
    raw = raw_conversations(config, context.derive_seed("problems"), context.random("raw")) + own
    kept, removed, repaired = apply_rules(raw, config)
    context.progress.update(len(raw))
    train: list[dict[str, Any]] = []
    validation: list[dict[str, Any]] = []
    for conversation in kept:
        row = _row(conversation)
        # Which split a conversation falls into is decided by its content, so more data moves none of it.
        if conversation.own:
            held_out = split_of(conversation.question) == "held_out"
        else:
            held_out = int(row["id"][:8], 16) < config.validation_share * 2**32
        (validation if held_out else train).append(row)
    if not train or not validation:
        raise DataError(
            f"{context.stage}: {len(train)} conversations for training and {len(validation)} for validation "
            "are left, set more conversations or a larger validation_share, or add rows to files"
        )
    seed, draw = context.derive_seed("preferences"), context.random("preferences")
    pairs = preference_pairs(config.preference_pairs, "train", config.problems, seed, draw)
    held_out_pairs = preference_pairs(config.preference_validation_pairs, "held_out", config.problems, seed, draw)
    own_pairs, own_held_out_pairs, removed_pairs = own_preferences(config, aside)
    pairs, held_out_pairs = pairs + own_pairs, held_out_pairs + own_held_out_pairs
    for name, rows in {
        "train": train,
        "validation": validation,
        "removed": removed,
        "repaired": repaired,
        "preference_train": pairs,
        "preference_validation": held_out_pairs,
        **({"preference_removed": removed_pairs} if config.preference_files else {}),
        **({"quarantine": aside} if aside else {}),
    }.items():
        write_jsonl(output / f"{name}.jsonl", rows)
    by_rule = Counter(str(row["step"]) for row in removed)
    metrics = {f"removed/{rule}": float(count) for rule, count in sorted(by_rule.items())}
    metrics |= {
        "conversations/train": float(len(train)),
        "conversations/validation": float(len(validation)),
        "conversations/repaired": float(len(repaired)),
        "preference_pairs/train": float(len(pairs)),
        "preference_pairs/validation": float(len(held_out_pairs)),
    }
    if aside:
        metrics["rows_set_aside"] = float(len(aside))
    counts = {"in": len(raw), "kept": len(kept), "removed": len(removed)}
    samples = [{"prompt": _first(row, "user"), "answer": _first(row, "assistant")} for row in train[:3]]
    return StageResult(metrics=metrics, counts=counts, samples=samples)


def _first(row: dict[str, Any], role: str) -> str:
    return next(message["content"] for message in row["messages"] if message["role"] == role)


def _row(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation_id(conversation.messages, conversation.tools),
        "source": conversation.source,
        "messages": conversation.messages,
        **({"tools": conversation.tools} if conversation.tools else {}),
    }
