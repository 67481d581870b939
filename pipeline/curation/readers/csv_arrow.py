"""Reads CSV, and Arrow files through datatrove's reader; what is no document becomes a bad record."""

import csv
import io
from collections.abc import Iterator

import pyarrow
from datatrove.pipeline.readers import CSVReader, IpcReader

from pipeline.curation.readers.arrow_rows import arrow_document
from pipeline.curation.readers.bad_records import (
    READ_ERRORS,
    ReadDocument,
    RecordLocation,
    bad_record,
    read_error_reason,
)
from pipeline.curation.readers.columns import row_document
from pipeline.curation.readers.jsonl_parquet import NO_LIMIT
from pipeline.curation.readers.sources import ArrowSource, CsvSource
from pipeline.curation.readers.zstd_frames import open_decompressed

BOM = "\ufeff"
FILE_MAGIC = b"ARROW1"
"""How Arrow files begin that are no stream."""


class CsvRows(CSVReader):
    """datatrove's reader of CSV, which also gives bad rows. Memory: `maximum_record_bytes` of the source."""

    def __init__(self, folder: str, source: CsvSource) -> None:
        super().__init__(folder, limit=source.limit or NO_LIMIT)
        self.source = source

    def read_file(self, filepath: str) -> Iterator[ReadDocument]:
        """Gives the document or bad record of each row after the first, which names the columns.

        An error while reading ends the file with a bad record: after a quotation mark that is never closed, nothing
        says where the next row begins.
        """
        number = 0
        csv.field_size_limit(self.source.maximum_record_bytes)
        try:
            with open_decompressed(self.data_folder, filepath) as file:
                # Bytes that are none of the encoding stay in their row, which is then put aside.
                lines = io.TextIOWrapper(file, self.source.encoding, errors="surrogateescape", newline="")
                rows = csv.reader(lines, delimiter=self.source.delimiter, strict=True)
                names = [name.removeprefix(BOM) if column == 0 else name for column, name in enumerate(next(rows, ()))]
                if not names:
                    yield bad_record(RecordLocation(filepath, 0, "record"), "empty_file", "")
                for row in rows:
                    if row:
                        yield self._document(RecordLocation(filepath, number, "record"), names, row)
                    number += 1
        except (*READ_ERRORS, csv.Error) as error:
            reason = "damaged" if isinstance(error, csv.Error) else read_error_reason(error, filepath)
            yield bad_record(RecordLocation(filepath, number, "record"), reason, str(error))

    def _document(self, location: RecordLocation, names: list[str], row: list[str]) -> ReadDocument:
        if len(set(names)) < len(names):
            return bad_record(location, "repeated_column", ", ".join(names))
        if len(row) != len(names):
            return bad_record(location, "wrong_number_of_cells", str(row))
        return row_document(dict(zip(names, row, strict=True)), self.source, location)


class ArrowRows(IpcReader):
    """datatrove's reader of Arrow files, which also gives bad rows. Memory: a batch as it is stored."""

    def __init__(self, folder: str, source: ArrowSource) -> None:
        super().__init__(folder, limit=source.limit or NO_LIMIT)
        self.source = source

    def read_file(self, filepath: str) -> Iterator[ReadDocument]:
        """Gives the document or bad record of each row; an error while reading ends the file with one."""
        number = 0
        try:
            for batch in self._batches(filepath):
                for row in range(batch.num_rows):
                    location = RecordLocation(filepath, number, "record")
                    document = arrow_document(batch.slice(row, 1), self.source, location)
                    if len(document.text) > self.source.maximum_record_bytes:
                        document = bad_record(location, "too_long", document.text)
                    yield document
                    number += 1
        except READ_ERRORS as error:
            yield bad_record(RecordLocation(filepath, number, "record"), read_error_reason(error, filepath), str(error))

    def _batches(self, filepath: str) -> Iterator[pyarrow.RecordBatch]:
        with self.data_folder.open(filepath, "rb") as file:
            is_file = file.read(len(FILE_MAGIC)) == FILE_MAGIC
        return self._iter_file_batches(filepath) if is_file else self._iter_stream_batches(filepath)
