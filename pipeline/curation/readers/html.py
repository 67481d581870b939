"""Reads HTML files of one page each."""

from collections.abc import Iterator

from datatrove.pipeline.readers.base import BaseDiskReader

from pipeline.curation.readers.bad_records import (
    READ_ERRORS,
    ReadDocument,
    RecordLocation,
    bad_record,
    read_error_reason,
)
from pipeline.curation.readers.zstd_frames import open_decompressed
from pipeline.curation.text.charsets import decode_page


class HtmlFiles(BaseDiskReader):
    """datatrove's access to files, with a page for each file. Memory: `maximum_record_bytes` of the source."""

    name = "HTML"

    def __init__(self, folder: str, maximum_record_bytes: int) -> None:
        super().__init__(folder)
        self.maximum_record_bytes = maximum_record_bytes

    def read_file(self, filepath: str) -> Iterator[ReadDocument]:
        """Gives the page of a file, or a bad record if it cannot be read or is too long."""
        location = RecordLocation(filepath, 0, "byte")
        try:
            with open_decompressed(self.data_folder, filepath) as file:
                content = file.read(self.maximum_record_bytes + 1)
        except READ_ERRORS as error:
            yield bad_record(location, read_error_reason(error, filepath), str(error))
            return
        if len(content) > self.maximum_record_bytes:
            yield bad_record(location, "too_long", content)
            return
        text = decode_page(content)
        rejected = None if text.strip() else "empty"
        yield ReadDocument(text=text, id=f"{filepath}/0", location=location, rejected=rejected)
