"""Reads JSON lines and Parquet through datatrove's readers; what is no document becomes a bad record."""

import json
from collections.abc import Iterator
from typing import BinaryIO

import orjson
import pyarrow
import pyarrow.parquet
from datatrove.pipeline.readers import JsonlReader, ParquetReader

from pipeline.curation.readers.arrow_rows import arrow_document
from pipeline.curation.readers.bad_records import (
    READ_ERRORS,
    ReadDocument,
    RecordLocation,
    bad_record,
    read_error_reason,
)
from pipeline.curation.readers.columns import NESTED, row_document
from pipeline.curation.readers.plain_values import BadValueError
from pipeline.curation.readers.sources import JsonlSource, ParquetSource
from pipeline.curation.readers.zstd_frames import open_decompressed

NO_LIMIT = -1
"""datatrove's value of `limit` for reading everything."""
BATCH_ROWS = 256
BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which some programs write at the beginning of files."""


class JsonLines(JsonlReader):
    """datatrove's reader of JSON lines, which also gives bad lines. Memory: `maximum_record_bytes` of the source."""

    def __init__(self, folder: str, source: JsonlSource) -> None:
        super().__init__(folder, limit=source.limit or NO_LIMIT)
        self.source = source

    def read_file(self, filepath: str) -> Iterator[ReadDocument]:
        """Gives the document or bad record of each line that is not blank, with its offset in bytes.

        An error while reading ends the file with a bad record, and so does a file without any line.
        """
        offset, number = 0, 0
        try:
            with open_decompressed(self.data_folder, filepath) as file:
                lines = _lines(file, self.source.maximum_record_bytes)
                for number, (offset, line, length) in enumerate(lines, start=1):
                    if line.removeprefix(BOM).strip():
                        yield self._document(RecordLocation(filepath, offset, "byte", number), line, length)
        except READ_ERRORS as error:
            location = RecordLocation(filepath, offset, "byte", number)
            yield bad_record(location, read_error_reason(error, filepath), str(error))
        else:
            if not number:
                yield bad_record(RecordLocation(filepath, 0, "byte"), "empty_file", "")

    def _document(self, location: RecordLocation, line: bytes, length: int) -> ReadDocument:
        if length > self.source.maximum_record_bytes:
            return bad_record(location, "too_long", line)
        try:
            row = _parse(line)
        except BadValueError as error:
            return bad_record(location, str(error), line)
        if not isinstance(row, dict):
            return bad_record(location, "not_an_object", line)
        return row_document(row, self.source, location)


def _lines(file: BinaryIO, most: int) -> Iterator[tuple[int, bytes, int]]:
    """For each line: its offset, its first `most` + 1 bytes at most, and its length. A long line is never in memory."""
    offset = 0
    while beginning := file.readline(most + 1):
        length, last = len(beginning), beginning
        while len(beginning) > most and not last.endswith(b"\n") and (last := file.readline(most)):
            length += len(last)
        yield offset, beginning, length
        offset += length


def _parse(line: bytes) -> object:
    """The value of a line of JSON, or of what Python's `json` writes: NaN, Infinity, half a surrogate pair.

    Raises:
        BadValueError: with the reason why it is none.
    """
    # A mark in the middle of a file comes from files that were put together.
    line = line.removeprefix(BOM)
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError:
        raise BadValueError("invalid_utf8") from None
    except RecursionError:
        raise BadValueError("nested_too_deep") from None
    except ValueError:
        raise BadValueError("not_json") from None


class ParquetRows(ParquetReader):
    """datatrove's reader of Parquet, which also gives bad rows. Memory: a row group as stored, and 256 rows of it."""

    def __init__(self, folder: str, source: ParquetSource) -> None:
        super().__init__(folder, limit=source.limit or NO_LIMIT)
        self.source = source

    def read_file(self, filepath: str) -> Iterator[ReadDocument]:
        """Gives the document or bad record of each row.

        A file without the text columns gives one bad record, and an error while reading ends the file with one.
        """
        number = 0
        try:
            with self.data_folder.open(filepath, "rb") as file, pyarrow.parquet.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                renamed = list(map(self.source.renamed, names))
                missing = [key for key in self.source.text_keys if key not in renamed]
                if missing:
                    location = RecordLocation(filepath, 0, "record")
                    yield bad_record(location, "no_such_column", f"{', '.join(missing)}; columns: {', '.join(names)}")
                    return
                for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=self._columns(names)):
                    for row in range(batch.num_rows):
                        yield self._document(RecordLocation(filepath, number, "record"), batch.slice(row, 1))
                        number += 1
        except READ_ERRORS as error:
            yield bad_record(RecordLocation(filepath, number, "record"), read_error_reason(error, filepath), str(error))

    def _columns(self, names: list[str]) -> list[str] | None:
        if self.source.metadata_keys is None:
            return None
        wanted = (*self.source.text_keys, *self.source.metadata_keys, NESTED)
        return [name for name in names if self.source.renamed(name) in wanted]

    def _document(self, location: RecordLocation, row: pyarrow.RecordBatch) -> ReadDocument:
        document = arrow_document(row, self.source, location)
        if len(document.text) > self.source.maximum_record_bytes:
            return bad_record(location, "too_long", document.text)
        return document
