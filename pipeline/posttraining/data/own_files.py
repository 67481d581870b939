"""Conversations and preferences from files of one's own, read, split and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pipeline.core.errors import DataError
from pipeline.environments import split_of
from pipeline.inference.conversation_ids import Message
from pipeline.posttraining.common.data_files import DataFile
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.conversations import Conversation
from pipeline.posttraining.data.preferences import PreferencePair
from pipeline.posttraining.data.rules import Value, Violation, conversation_id, conversation_rules, normalize_message
from pipeline.posttraining.data.shapes import ShapeError, read_conversation, read_preference

ReadT = TypeVar("ReadT")


def read_rows(files: Iterable[DataFile], read: Callable[[dict[str, Any]], ReadT]) -> Iterator[tuple[DataFile, ReadT]]:
    """What `read` makes of each row of the files, in their order, with the file.

    Raises:
        DataError: for a file that cannot be read, or a row that `read` refuses by a ShapeError, with its place.
    """
    for file in files:
        for place, row in file.rows():
            try:
                yield file, read(row)
            except ShapeError as error:
                raise DataError(f"{place}: {error}") from None


def own_conversations(config: SftDataConfig) -> list[Conversation]:
    """The conversations of all files as they are, before the rules.

    Raises:
        DataError: for a file or a row that cannot be used.
    """
    return [
        Conversation(messages, file.name, tools=tools, own=True)
        for file, (messages, tools) in read_rows(config.files, read_conversation)
    ]


def own_preferences(config: SftDataConfig) -> tuple[list[PreferencePair], list[PreferencePair], list[dict[str, Value]]]:
    """The pairs of all files that pass the rules: to train on, held out, and a row for each that was removed.

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
    for file, parts in read_rows(config.preference_files, read_preference):
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


def check_files(config: SftDataConfig) -> None:
    """Reads the files of a stage, and makes sure that they suffice where there is nothing built in beside them.

    Raises:
        DataError: for a file or a row that cannot be used, or too few different rows.
    """
    questions = {each.question for each in own_conversations(config)}
    if not config.conversations:
        _check_splits(questions, "files", "conversations", "conversations")
    questions = {
        next((each["content"] for each in prompt if each["role"] == "user"), "")
        for _, (prompt, _, _) in read_rows(config.preference_files, read_preference)
    }
    if config.preference_files and not (config.preference_pairs and config.preference_validation_pairs):
        _check_splits(questions, "preference_files", "pairs", "preference_pairs and preference_validation_pairs")


def _check_splits(questions: set[str], key: str, what: str, built_in: str) -> None:
    held_out = sum(split_of(each) == "held_out" for each in questions)
    if not held_out or held_out == len(questions):
        raise DataError(
            f"stages.sft_data.config.{key}: of {len(questions)} different first questions {held_out} are held out, and "
            f"some must be and some not (about a fifth is); add {what}, or set {built_in} above 0"
        )
