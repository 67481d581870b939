"""The text of a row with columns."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.curation.readers.bad_records import BAD
from pipeline.curation.readers.sources import Columns

BETWEEN = "\n\n"
CONTENT_KEYS = ("content", "value")
"""Keys of a chat message's text: those of OpenAI's and of ShareGPT's form."""


class NoTextError(ValueError):
    """A row without the text that a recipe expects; the message is the reason."""


def text_of(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The text in some columns, one below the other; empty ones leave nothing.

    Raises:
        NoTextError: for a column that is missing or holds something else.
    """
    return BETWEEN.join(part for key in keys if (part := _text(row, key)))


def _text(row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        raise NoTextError("no_such_column")
    value = row[key]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return BETWEEN.join(map(_message, value))
    raise NoTextError("text_is_no_string")


def _message(message: Any) -> str:
    for key in CONTENT_KEYS if isinstance(message, dict) else ():
        if isinstance(message.get(key), str):
            return message[key]
    raise NoTextError("text_is_no_string")


def metadata_of(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """What comes along with the text."""
    if columns.metadata_keys is not None:
        return {key: row[key] for key in columns.metadata_keys if key in row}
    nested = row.get("metadata")
    own = {key: value for key, value in row.items() if key not in (*columns.text_keys, "id", "metadata")}
    return {**(nested if isinstance(nested, dict) else {}), **own}


def adapter(columns: Columns) -> Callable[[Any, dict[str, Any], str, int | str], dict[str, Any]]:
    """datatrove's adapter for a source. An empty text becomes a space: datatrove would leave it out unseen."""

    def adapt(reader: Any, row: dict[str, Any], path: str, number: int | str) -> dict[str, Any]:
        text = text_of(row, columns.text_keys)
        return {"text": text or " ", "id": f"{path}/{number}", "metadata": metadata_of(row, columns)}

    return adapt


def tolerant_adapter(columns: Columns) -> Callable[[Any, dict[str, Any], str, int | str], dict[str, Any]]:
    """The same for a reader that cannot be told of bad records: they come along with a reason."""
    strict = adapter(columns)

    def adapt(reader: Any, row: dict[str, Any], path: str, number: int | str) -> dict[str, Any]:
        try:
            return strict(reader, row, path, number)
        except NoTextError as error:
            beginning = str({key: str(value)[:40] for key, value in row.items()})
            return {"text": beginning, "id": "", "metadata": {BAD: str(error)}}

    return adapt
