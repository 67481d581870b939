"""Pages in WARC files, written and read."""

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

from pipeline.curation.readers.bad_records import Place, attach_place, bad_record
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.gzip_members import GzipMembers
from pipeline.curation.readers.read_errors import READ_ERRORS, reason_of
from pipeline.curation.text.charsets import declared_charset, decode_page

DAMAGED_RECORD = "damaged_record"
"""The reason for a record that is not whole, after which its file goes on."""
PAGE_TYPES = ("text/html", "application/xhtml+xml")
EPOCH = "2000-01-01T00:00:00Z"
"""Date of pages that have none: a constant, so that the same pages make the same file."""


def write_warc(path: Path, pages: Iterable[EmbeddedText]) -> int:
    """Writes pages as the responses of a crawl; returns their number."""
    written = 0
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for page in pages:
            # Of http addresses alone warcio parses the headers; .invalid is nobody's (RFC 2606).
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
    """datatrove's WARC reader, which also gives responses that are no readable page, with a `refused` reason.

    The type of a page comes from the WARC or HTTP headers rather than from libmagic, a library of the
    operating system that not every machine has. Memory: `maximum_record_bytes` of the source.
    """

    def __init__(self, folder: str, limit: int, maximum_record_bytes: int) -> None:
        super().__init__(folder, limit=limit)
        self.maximum_record_bytes = maximum_record_bytes

    def read_file(self, filepath: str) -> Iterator[Document]:
        """The responses of a file, and its bad records; of a gzip file also those after a damaged one."""
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
                                yield self._document(Place(filepath, number, "record"), record)
                            number += 1
                    except READ_ERRORS as error:
                        goes_on = isinstance(stream, GzipMembers) and stream.skip_damage()
                        reason = DAMAGED_RECORD if goes_on else reason_of(error)
                        yield bad_record(Place(filepath, number, "record"), reason, str(error))
                        number += 1
        except READ_ERRORS as error:
            yield bad_record(Place(filepath, number, "record"), reason_of(error), str(error))
        else:
            if number == 0:
                yield bad_record(Place(filepath, 0, "record"), "empty_file", "")

    def _document(self, place: Place, record: ArcWarcRecord) -> Document:
        content = record.content_stream().read(self.maximum_record_bytes + 1)
        if len(content) > self.maximum_record_bytes:
            return bad_record(place, "too_long", content)
        if getattr(record.raw_stream, "limit", 0) > 0:
            return bad_record(place, "cut_short", content)
        document = self.get_document_from_dict(_page(record, content), place.file, place.offset)
        assert document is not None, place
        return attach_place(document, place)


def _page(record: ArcWarcRecord, content: bytes) -> dict[str, str]:
    row = {
        "id": record.rec_headers.get_header("WARC-Record-ID") or "",
        "url": record.rec_headers.get_header("WARC-Target-URI") or "",
    }
    http_type = (record.http_headers and record.http_headers.get_header("Content-Type")) or ""
    kind = record.rec_headers.get_header("WARC-Identified-Payload-Type") or http_type.partition(";")[0].strip().lower()
    if kind not in PAGE_TYPES:
        return {**row, "text": content.decode("utf-8", errors="replace") or " ", "refused": "not_html"}
    text = decode_page(content, declared_charset(http_type))
    return {**row, "text": text} if text.strip() else {**row, "text": " ", "refused": "empty"}
