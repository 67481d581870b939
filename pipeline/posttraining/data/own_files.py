"""Conversations and preferences from files of one's own, read, split and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pipeline.core.errors import DataError
from pipeline.environments import split_of
from pipeline.inference.conversation_ids import Message
from pipeline.posttraining.common.data_files import DataFile
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.shapes import ShapeError, read_conversation, read_documents, read_preference

ReadT = TypeVar("ReadT")


def read_own(files: Iterable[DataFile], read: Callable[[dict[str, Any]], ReadT]) -> Iterator[tuple[DataFile, ReadT]]:
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


def own_conversations(files: Iterable[DataFile]) -> Iterator[Conversation]:
    """The conversations of the files as they are, before the rules.

    Raises:
        DataError: for a file or a row that cannot be used.
    """
    for file, (messages, tools, documents) in read_own(files, _read):
        yield Conversation(messages, file.name, tools=tools, own=True, documents=documents)


def _read(row: dict[str, Any]) -> tuple[list[Message], str, str]:
    return *read_conversation(row), read_documents(row)


def check_files(config: SftDataConfig, alone: bool) -> None:
    """Reads the files of a stage, and makes sure that they suffice where there is nothing beside them.

    Args:
        config: settings of the stage.
        alone: whether files are all its sources of conversations.

    Raises:
        DataError: for a file or a row that cannot be used, or too few different rows.
    """
    questions = {each.question for each in own_conversations(config.files)}
    if alone:
        _check_splits(questions, "files", "conversations", "conversations")
    questions = {
        next((each["content"] for each in prompt if each["role"] == "user"), "")
        for _, (prompt, _, _) in read_own(config.preference_files, read_preference)
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
