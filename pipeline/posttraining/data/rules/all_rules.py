"""All repairs and rules in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipeline.curation.decontamination.prompts import PromptIndex
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.record import Conversation, conversation_id
from pipeline.posttraining.data.rules.answers import check_answers
from pipeline.posttraining.data.rules.arithmetic import check_arithmetic
from pipeline.posttraining.data.rules.code import check_code
from pipeline.posttraining.data.rules.form import (
    check_documents,
    check_length,
    check_schema,
    check_special_tokens,
    check_truncation,
)
from pipeline.posttraining.data.rules.languages import check_language
from pipeline.posttraining.data.rules.leakage import check_benchmarks, check_leakage
from pipeline.posttraining.data.rules.normalization import clean_text, without_end_marks
from pipeline.posttraining.data.rules.repetition import check_repetition
from pipeline.posttraining.data.rules.tool_calls import check_tool_calls, with_typed_arguments
from pipeline.posttraining.data.rules.violation import Rule, Value, Violation

REPAIRS: dict[str, Callable[[Conversation], Conversation]] = {
    "text cleaned": clean_text,
    "end mark removed": without_end_marks,
    "arguments typed": with_typed_arguments,
}
"""What is put right, by how the log calls it. Each changes what can have meant nothing else."""


def form_rules(config: SftDataConfig) -> list[Rule]:
    """The rules that hold for any conversation, also one that ends with a reply that is known to be bad.

    Raises:
        DataError: for a benchmark that cannot be read.
    """
    decontamination = config.decontamination
    return [
        check_schema,
        check_special_tokens,
        partial(check_length, config=config),
        check_leakage,
        partial(check_benchmarks, benchmarks=PromptIndex(decontamination), threshold=decontamination.minimum_coverage),
    ]


def conversation_rules(config: SftDataConfig) -> list[Rule]:
    """All rules in the order in which they are applied, those that read little first.

    Raises:
        DataError: for a benchmark or a calibration that cannot be read.
    """
    schema, special_tokens, length, *leakage = form_rules(config)
    return [
        schema,
        special_tokens,
        length,
        check_documents,
        check_truncation,
        check_tool_calls,
        *leakage,
        partial(check_repetition, maximum=config.max_repetitions),
        check_code,
        check_arithmetic,
        check_language,
        partial(check_answers, closed=config.closed_verifiers()),
    ]


def repaired(conversation: Conversation) -> tuple[Conversation, list[str]]:
    """The conversation with all repairs, and the names of those that changed it."""
    names = []
    for name, repair in REPAIRS.items():
        changed = repair(conversation)
        if changed.messages != conversation.messages:
            names.append(name)
        conversation = changed
    return conversation, names


def normalized(conversation: Conversation) -> Conversation:
    """The conversation with all repairs, for whoever keeps no log of them."""
    return repaired(conversation)[0]


def repair_row(raw_id: str, clean_id: str, repairs: list[str]) -> dict[str, Value]:
    """The row of the log of repairs for a conversation, by its ids before and after."""
    return Violation("normalisation", ", ".join(repairs), clean_id, "normal form").log_row(raw_id)


def apply_rules(
    raw: list[Conversation], config: SftDataConfig
) -> tuple[list[Conversation], list[dict[str, Value]], list[dict[str, Value]]]:
    """Normalizes conversations and removes those that violate a rule, and exact duplicates of those before them.

    Returns:
        The conversations kept, a row for each that was removed with the first rule it violates, and a row for each
        that was kept with changed text. Rows name a conversation by its id before normalization.

    Raises:
        DataError: for a benchmark that cannot be read.
    """
    kept: list[Conversation] = []
    removed: list[dict[str, Value]] = []
    mended: list[dict[str, Value]] = []
    seen: set[str] = set()
    rules = conversation_rules(config)
    for conversation in raw:
        raw_id = conversation_id(conversation.messages, conversation.tools)
        clean, repairs = repaired(conversation)
        clean_id = conversation_id(clean.messages, conversation.tools)
        violation = next(filter(None, (rule(clean) for rule in rules)), None)
        if violation is None and clean_id in seen:
            violation = Violation("exact_dedup", "duplicate", clean_id, "unique")
        if violation is not None:
            removed.append(violation.log_row(raw_id))
            continue
        if clean_id != raw_id:
            mended.append(repair_row(raw_id, clean_id, repairs))
        seen.add(clean_id)
        kept.append(clean)
    return kept, removed, mended
