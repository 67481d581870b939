"""Makes documents of rows with columns: which columns are the text, and which are metadata."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.curation.readers.bad_records import REASON_KEY
from pipeline.curation.readers.sources import Columns

BETWEEN = "\n\n"
CONTENT_KEYS = ("content", "value")
"""Keys of a chat message's text in OpenAI's and in ShareGPT's form."""
RowAdapter = Callable[[Any, dict[str, Any], str, int | str], dict[str, Any]]
"""datatrove's adapter: reader, row, path and number of the row to the fields of a document."""


class NoTextError(ValueError):
    """A row without the text that a recipe expects; the message is the reason for the quarantine."""


def row_text(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The texts of some columns, joined by blank lines; empty columns are left out.

    A column holds a text, null, or a list of chat messages.

    Raises:
        NoTextError: for a column that is missing or holds something else.
    """
    return BETWEEN.join(part for key in keys if (part := _column_text(row, key)))


def _column_text(row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        raise NoTextError("no_such_column")
    value = row[key]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return BETWEEN.join(map(_message_text, value))
    raise NoTextError("text_is_no_string")


def _message_text(message: Any) -> str:
    for key in CONTENT_KEYS if isinstance(message, dict) else ():
        if isinstance(message.get(key), str):
            return message[key]
    raise NoTextError("text_is_no_string")


def row_metadata(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """The columns that become a document's metadata.

    They are those that the source names, or all but text and id, with the entries of a column `metadata` as if they
    were columns.
    """
    if columns.metadata_keys is not None:
        return {key: row[key] for key in columns.metadata_keys if key in row}
    nested = row.get("metadata")
    own = {key: value for key, value in row.items() if key not in (*columns.text_keys, "id", "metadata")}
    return {**(nested if isinstance(nested, dict) else {}), **own}


def row_adapter(columns: Columns) -> RowAdapter:
    """datatrove's adapter for the columns of a source; it raises NoTextError for a row without text.

    An empty text becomes a space, because datatrove would drop an empty document without a trace.
    """

    def adapt(reader: Any, row: dict[str, Any], path: str, number: int | str) -> dict[str, Any]:
        text = row_text(row, columns.text_keys)
        return {"text": text or " ", "id": f"{path}/{number}", "metadata": row_metadata(row, columns)}

    return adapt


def tolerant_row_adapter(columns: Columns) -> RowAdapter:
    """The same adapter for a reader that cannot catch NoTextError: the document carries the reason instead."""
    strict = row_adapter(columns)

    def adapt(reader: Any, row: dict[str, Any], path: str, number: int | str) -> dict[str, Any]:
        try:
            return strict(reader, row, path, number)
        except NoTextError as error:
            beginning = str({key: str(value)[:40] for key, value in row.items()})
            return {"text": beginning, "id": "", "metadata": {REASON_KEY: str(error)}}

    return adapt
