"""Conversations and preferences from files of one's own, read, split and checked."""

from __future__ import annotations

from pipeline.core.errors import DataError
from pipeline.environments import split_of
from pipeline.inference.conversation_ids import Message
from pipeline.posttraining.common.data_files import SetAside, say_aside
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.conversations import Conversation
from pipeline.posttraining.data.preferences import PreferencePair
from pipeline.posttraining.data.rules import Value, Violation, conversation_id, conversation_rules, normalize_message
from pipeline.posttraining.data.shapes import read_conversation, read_preference


def own_conversations(config: SftDataConfig, aside: SetAside) -> list[Conversation]:
    """The conversations of all files as they are, before the rules; `aside` takes the rows that are set aside.

    Raises:
        DataError: for a file or a row that cannot be used.
    """
    return [
        Conversation(messages, file.name, tools=tools, own=True)
        for file in config.files
        for _, (messages, tools) in file.read(read_conversation, aside)
    ]


def own_preferences(
    config: SftDataConfig, aside: SetAside
) -> tuple[list[PreferencePair], list[PreferencePair], list[dict[str, Value]]]:
    """The pairs of all files that pass the rules: to train on, held out, and a row for each that was removed.

    `aside` takes the rows that are set aside.

    Both conversations of a pair must pass the rules for conversations, and their replies differ. Its prompt's first
    question decides, as everywhere, whether it is held out.

    Raises:
        DataError: for a file, a row or a benchmark that cannot be used.
    """
    train: list[PreferencePair] = []
    held_out: list[PreferencePair] = []
    removed: list[dict[str, Value]] = []
    seen: set[str] = set()
    rules = conversation_rules(config) if config.preference_files else []
    read = ((file, parts) for file in config.preference_files for _, parts in file.read(read_preference, aside))
    for file, parts in read:
        prompt, chosen, rejected = (list(map(_normalized, part)) for part in parts)
        pair_id = conversation_id([*prompt, *chosen, *rejected])
        both = [Conversation([*prompt, *reply], file.name, own=True) for reply in (chosen, rejected)]
        violation = next((found for each in both for rule in rules if (found := rule(each))), None)
        if violation is None and chosen == rejected:
            violation = Violation("preference", "chosen and rejected are equal", "equal", "different")
        if violation is None and pair_id in seen:
            violation = Violation("exact_dedup", "duplicate", pair_id, "unique")
        if violation is not None:
            removed.append(violation.log_row(pair_id))
            continue
        seen.add(pair_id)
        split = held_out if split_of(both[0].question) == "held_out" else train
        split.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return train, held_out, removed


def _normalized(message: Message) -> Message:
    return {**message, "content": normalize_message(message["content"])}


def check_files(config: SftDataConfig) -> list[str]:
    """Reads the files of a stage, and makes sure that they suffice where there is nothing built in beside them.

    Returns what to say of rows that are set aside.

    Raises:
        DataError: for a file or a row that cannot be used, or too few different rows.
    """
    aside: SetAside = []
    questions = {each.question for each in own_conversations(config, aside)}
    if not config.conversations:
        _check_splits(questions, "files", "conversations", "conversations")
    questions = {
        next((each["content"] for each in prompt if each["role"] == "user"), "")
        for file in config.preference_files
        for _, (prompt, _, _) in file.read(read_preference, aside)
    }
    if config.preference_files and not (config.preference_pairs and config.preference_validation_pairs):
        _check_splits(questions, "preference_files", "pairs", "preference_pairs and preference_validation_pairs")
    return say_aside(aside)


def _check_splits(questions: set[str], key: str, what: str, built_in: str) -> None:
    held_out = sum(split_of(each) == "held_out" for each in questions)
    if not held_out or held_out == len(questions):
        raise DataError(
            f"stages.sft_data.config.{key}: of {len(questions)} different first questions {held_out} are held out, and "
            f"some must be and some not (about a fifth is); add {what}, or set {built_in} above 0"
        )
