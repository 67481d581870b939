"""Makes documents of rows with columns: which columns are the text, and which are metadata."""

from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.curation.readers.bad_records import ReadDocument, RecordLocation, bad_record
from pipeline.curation.readers.plain_values import BadValueError, plain
from pipeline.curation.readers.sources import Columns

BETWEEN = "\n\n"
CONTENT_KEYS = ("content", "value")
"""Keys of a chat message's text in OpenAI's and in ShareGPT's form."""
OWN_KEYS = ("source", "origin", "scores", "uncut_id")
"""Metadata keys under which the pipeline notes and later reads values of its own."""
NESTED = "metadata"
"""The column whose entries count as columns."""
COLUMN = "column_"
"""What a column of such a name has before it as metadata."""


def row_document(row: Mapping[str, Any], columns: Columns, location: RecordLocation) -> ReadDocument:
    """The document of a row, or the bad record that stands for it.

    Args:
        row: values by column, as a parser gave them.
        columns: which of them are the text and the metadata.
        location: where the row begins.
    """
    named = {columns.renamed(key): value for key, value in row.items()}
    if len(named) < len(row):
        return bad_record(location, "repeated_column", ", ".join(map(str, row)))
    row = named
    try:
        text, metadata = row_text(row, columns.text_keys), row_metadata(row, columns)
    except BadValueError as error:
        beginning = str({str(key): str(value)[:40] for key, value in row.items()})
        return bad_record(location, str(error), beginning)
    return ReadDocument(text, f"{location.file}/{location.offset}", metadata=metadata, location=location)


def row_text(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The texts of some columns, joined by blank lines; empty columns are left out.

    A column holds a text, UTF-8 without a type that says so, null, or a list of chat messages.

    Raises:
        BadValueError: for a column that is missing or holds something else.
    """
    return BETWEEN.join(part for key in keys if (part := _column_text(row, key)))


def _column_text(row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        raise BadValueError("no_such_column")
    value = row[key]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadValueError("invalid_utf8") from None
    if isinstance(value, list):
        return BETWEEN.join(map(_message_text, value))
    raise BadValueError("text_is_no_string")


def _message_text(message: Any) -> str:
    for key in CONTENT_KEYS if isinstance(message, dict) else ():
        if isinstance(message.get(key), str):
            return message[key]
    raise BadValueError("text_is_no_string")


def row_metadata(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """The columns that become a document's metadata, as values that JSON has (`plain`).

    They are those that the source names, or all but the text. Entries of a column `metadata`, an object or the JSON of
    one, count as columns. A column with a name of `OWN_KEYS` is kept as `column_<name>`.

    Raises:
        BadValueError: for a value that cannot be stored.
    """
    nested = {columns.renamed(key): value for key, value in _as_object(row.get(NESTED)).items()}
    merged = {**nested, **{key: value for key, value in row.items() if key != NESTED or not nested}}
    if columns.metadata_keys is None:
        chosen = {key: value for key, value in merged.items() if key not in columns.text_keys}
    else:
        available = {**merged, **row}
        chosen = {key: available[key] for key in columns.metadata_keys if key in available}
    return {f"{COLUMN}{key}" if key in OWN_KEYS else key: value for key, value in plain(chosen).items()}


def _as_object(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return value if isinstance(value, dict) else {}
