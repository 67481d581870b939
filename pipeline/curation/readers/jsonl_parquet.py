"""Reads JSON lines and Parquet through datatrove's readers; what is no document becomes a bad record."""

import io
from collections.abc import Iterator
from typing import IO, Any

import orjson
import pyarrow.parquet
from datatrove.data import Document
from datatrove.pipeline.readers import JsonlReader, ParquetReader

from pipeline.curation.readers.bad_records import (
    READ_ERRORS,
    RecordLocation,
    attach_location,
    bad_record,
    read_error_reason,
)
from pipeline.curation.readers.columns import NoTextError, row_adapter
from pipeline.curation.readers.sources import JsonlSource, ParquetSource

NO_LIMIT = -1
"""datatrove's value of `limit` for reading everything."""
BATCH_ROWS = 256


class JsonLines(JsonlReader):
    """datatrove's reader of JSON lines, which also gives bad lines. Memory: `maximum_record_bytes` of the source."""

    def __init__(self, folder: str, source: JsonlSource) -> None:
        super().__init__(folder, limit=source.limit or NO_LIMIT, adapter=row_adapter(source))
        self.source = source

    def read_file(self, filepath: str) -> Iterator[Document]:
        """Gives the document or bad record of each line that is not blank, with its offset in bytes.

        An error while reading ends the file with a bad record, and so does a file without any line.
        """
        offset, number = 0, -1
        try:
            with self.data_folder.open(filepath, "rb", compression=self.compression) as file:
                for number, (offset, line, length) in enumerate(_lines(file, self.source.maximum_record_bytes)):
                    if not line.isspace():
                        yield self._document(RecordLocation(filepath, offset, "byte"), line, length, number)
        except READ_ERRORS as error:
            yield bad_record(RecordLocation(filepath, offset, "byte"), read_error_reason(error), str(error))
        else:
            if number < 0:
                yield bad_record(RecordLocation(filepath, 0, "byte"), "empty_file", "")

    def _document(self, location: RecordLocation, line: bytes, length: int, number: int) -> Document:
        if length > self.source.maximum_record_bytes:
            return bad_record(location, "too_long", line)
        try:
            row = orjson.loads(line)
            if not isinstance(row, dict):
                return bad_record(location, "not_an_object", line)
            document = self.get_document_from_dict(row, location.file, number)
        except orjson.JSONDecodeError:
            return bad_record(location, "not_json" if _is_utf8(line) else "invalid_utf8", line)
        except NoTextError as error:
            return bad_record(location, str(error), line)
        assert document is not None, location
        return attach_location(document, location)


def _lines(file: IO[bytes], most: int) -> Iterator[tuple[int, bytes, int]]:
    """For each line: its offset, its first `most` + 1 bytes at most, and its length. A long line is never in memory."""
    reader = file if hasattr(file, "readline") else io.BufferedReader(file)  # type: ignore[arg-type]
    offset = 0
    while beginning := reader.readline(most + 1):
        length, last = len(beginning), beginning
        while len(beginning) > most and not last.endswith(b"\n") and (last := reader.readline(most)):
            length += len(last)
        yield offset, beginning, length
        offset += length


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


class ParquetRows(ParquetReader):
    """datatrove's reader of Parquet, which also gives bad rows. Memory: a row group as stored, and 256 rows of it."""

    def __init__(self, folder: str, source: ParquetSource) -> None:
        super().__init__(folder, limit=source.limit or NO_LIMIT, adapter=row_adapter(source))
        self.source = source

    def read_file(self, filepath: str) -> Iterator[Document]:
        """Gives the document or bad record of each row.

        A file without the text columns gives one bad record, and an error while reading ends the file with one.
        """
        number = 0
        try:
            with self.data_folder.open(filepath, "rb") as file, pyarrow.parquet.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                missing = [key for key in self.source.text_keys if key not in names]
                if missing:
                    location = RecordLocation(filepath, 0, "record")
                    yield bad_record(location, "no_such_column", f"{', '.join(missing)}; columns: {', '.join(names)}")
                    return
                for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=self._columns(names)):
                    for row in range(batch.num_rows):
                        yield self._document(RecordLocation(filepath, number, "record"), batch.slice(row, 1))
                        number += 1
        except READ_ERRORS as error:
            yield bad_record(RecordLocation(filepath, number, "record"), read_error_reason(error), str(error))

    def _columns(self, names: list[str]) -> list[str] | None:
        if self.source.metadata_keys is None:
            return None
        return [name for name in names if name in (*self.source.text_keys, *self.source.metadata_keys)]

    def _document(self, location: RecordLocation, row: Any) -> Document:
        try:
            document = self.get_document_from_dict(row.to_pylist()[0], location.file, location.offset)
        except UnicodeDecodeError as error:
            return bad_record(location, "invalid_utf8", error.object)
        except NoTextError as error:
            return bad_record(location, str(error), str(row.schema))
        assert document is not None, location
        if len(document.text) > self.source.maximum_record_bytes:
            return bad_record(location, "too_long", document.text)
        return attach_location(document, location)
