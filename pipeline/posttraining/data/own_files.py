"""Conversations and preferences from files of one's own, read, split and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pipeline.core.errors import DataError
from pipeline.environments import split_of
from pipeline.inference.conversation_ids import Message
from pipeline.posttraining.common.data_files import DataFile, SetAside, say_aside
from pipeline.posttraining.common.rows import Row
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.shapes import read_conversation, read_documents, read_preference

ReadT = TypeVar("ReadT")


def read_own(
    files: Iterable[DataFile], read: Callable[[dict[str, Any]], ReadT], aside: SetAside
) -> Iterator[tuple[DataFile, ReadT]]:
    """What `read` makes of each row of the files, in their order, with the file; `aside` takes the rows set aside.

    Raises:
        DataError: for a file that cannot be read, or a row that `read` refuses by a RowError, with its place.
    """
    for file in files:
        for _, value in file.read(read, aside):
            yield file, value


def set_aside_rows(aside: SetAside) -> Iterator[Row]:
    """Rows of files that were set aside, as the bad rows of a recipe's source are."""
    for row in aside:
        yield Row(row["file"], row["row"], {}, bad=row["reason"])


def own_conversations(files: Iterable[DataFile], aside: SetAside) -> Iterator[Conversation]:
    """The conversations of the files as they are, before the rules; `aside` takes the rows that are set aside.

    Raises:
        DataError: for a file or a row that cannot be used.
    """
    for file, (messages, tools, documents) in read_own(files, _read, aside):
        yield Conversation(messages, file.name, tools=tools, own=True, documents=documents)


def _read(row: dict[str, Any]) -> tuple[list[Message], str, str]:
    return *read_conversation(row), read_documents(row)


def check_files(config: SftDataConfig, alone: bool) -> list[str]:
    """Reads the files of a stage, and makes sure that they suffice where there is nothing beside them.

    Args:
        config: settings of the stage.
        alone: whether files are all its sources of conversations.

    Returns:
        What to say of rows that are set aside.

    Raises:
        DataError: for a file or a row that cannot be used, or too few different rows.
    """
    aside: SetAside = []
    questions = {each.question for each in own_conversations(config.files, aside)}
    if alone:
        _check_splits(questions, "files", "conversations", "conversations")
    questions = {
        next((each["content"] for each in prompt if each["role"] == "user"), "")
        for _, (prompt, _, _) in read_own(config.preference_files, read_preference, aside)
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
