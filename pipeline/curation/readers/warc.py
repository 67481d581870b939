"""Reads the pages of WARC files, the format of web crawls, and writes such files."""

import io
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.readers import WarcReader
from warcio.archiveiterator import ArchiveIterator
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.curation.readers.bad_records import (
    READ_ERRORS,
    REJECTED_KEY,
    RecordLocation,
    attach_location,
    bad_record,
    read_error_reason,
)
from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.gzip_members import GzipMembers
from pipeline.curation.text.charsets import declared_charset, decode_page

DAMAGED_RECORD = "damaged_record"
"""Reason of a record that is not whole in a file that can be read on behind it."""
PAGE_TYPES = ("text/html", "application/xhtml+xml")
EPOCH = "2000-01-01T00:00:00Z"
"""Date that is written for every page: a constant, so that the same pages make the same file."""


def write_warc(path: Path, pages: Iterable[EmbeddedText]) -> int:
    """Writes pages as the HTTP responses of a crawl, a gzip member each; returns the number of pages."""
    written = 0
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for page in pages:
            # warcio parses headers for http addresses only; no host can be below .invalid (RFC 2606).
            address = f"http://pydoc.invalid/{page.origin}"
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            record = writer.create_warc_record(
                address,
                "response",
                payload=io.BytesIO(page.text.encode()),
                http_headers=headers,
                warc_headers_dict={
                    "WARC-Date": EPOCH,
                    "WARC-Record-ID": f"<{uuid.uuid5(uuid.NAMESPACE_URL, address).urn}>",
                    "WARC-Identified-Payload-Type": "text/html",
                },
            )
            writer.write_record(record)
            written += 1
    return written


class WarcPages(WarcReader):
    """datatrove's WARC reader, which also gives bad records, and responses that are no HTML page.

    The latter have a reason under `REJECTED_KEY` in their metadata. The type of a page comes from the WARC or HTTP
    headers rather than from libmagic, a library of the operating system that not every machine has. Memory:
    `maximum_record_bytes` of the source.
    """

    def __init__(self, folder: str, limit: int, maximum_record_bytes: int) -> None:
        super().__init__(folder, limit=limit)
        self.maximum_record_bytes = maximum_record_bytes

    def read_file(self, filepath: str) -> Iterator[Document]:
        """Gives the document or bad record of each HTTP response in a file.

        An error while reading ends the file with a bad record, unless the file is gzip and another member follows.
        """
        number, compressed = 0, filepath.endswith(".gz")
        try:
            with self.data_folder.open(filepath, "rb", compression=None if compressed else self.compression) as file:
                stream = GzipMembers(file, b"WARC/") if compressed else file
                goes_on = True
                while goes_on:
                    goes_on = False
                    try:
                        for record in ArchiveIterator(stream):
                            if record.rec_type == "response":
                                yield self._document(RecordLocation(filepath, number, "record"), record)
                            number += 1
                    except READ_ERRORS as error:
                        goes_on = isinstance(stream, GzipMembers) and stream.skip_damage()
                        reason = DAMAGED_RECORD if goes_on else read_error_reason(error)
                        yield bad_record(RecordLocation(filepath, number, "record"), reason, str(error))
                        number += 1
        except READ_ERRORS as error:
            yield bad_record(RecordLocation(filepath, number, "record"), read_error_reason(error), str(error))
        else:
            if number == 0:
                yield bad_record(RecordLocation(filepath, 0, "record"), "empty_file", "")

    def _document(self, location: RecordLocation, record: ArcWarcRecord) -> Document:
        content = record.content_stream().read(self.maximum_record_bytes + 1)
        if len(content) > self.maximum_record_bytes:
            return bad_record(location, "too_long", content)
        if getattr(record.raw_stream, "limit", 0) > 0:
            return bad_record(location, "cut_short", content)
        document = self.get_document_from_dict(_page(record, content), location.file, location.offset)
        assert document is not None, location
        return attach_location(document, location)


def _page(record: ArcWarcRecord, content: bytes) -> dict[str, str]:
    row = {
        "id": record.rec_headers.get_header("WARC-Record-ID") or "",
        "url": record.rec_headers.get_header("WARC-Target-URI") or "",
    }
    http_type = (record.http_headers and record.http_headers.get_header("Content-Type")) or ""
    kind = record.rec_headers.get_header("WARC-Identified-Payload-Type") or http_type.partition(";")[0].strip().lower()
    if kind not in PAGE_TYPES:
        return {**row, "text": content.decode("utf-8", errors="replace") or " ", REJECTED_KEY: "not_html"}
    text = decode_page(content, declared_charset(http_type))
    return {**row, "text": text} if text.strip() else {**row, "text": " ", REJECTED_KEY: "empty"}
