"""Reads the pages of WARC files, the format of web crawls, and writes such files."""

import gzip
import io
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
from datatrove.pipeline.readers import WarcReader
from warcio.archiveiterator import ArchiveIterator
from warcio.bufferedreaders import ChunkedDataReader
from warcio.recordloader import ArcWarcRecord, ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.curation.readers.bad_records import (
    READ_ERRORS,
    ReadDocument,
    RecordLocation,
    bad_record,
    read_error_reason,
)
from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.gzip_members import GzipMembers
from pipeline.curation.readers.zstd_frames import ZstdFrames, open_decompressed
from pipeline.curation.text.charsets import declared_charset, decode_page

DAMAGED_RECORD = "damaged_record"
"""Reason of a record that is not whole in a file that can be read on behind it."""
RESPONSE, TEXT = "response", "conversion"
"""Types of the records with what a server answered, and with text that was extracted (WET files)."""
DECOMPRESSORS: dict[str, Callable[[bytes], Any]] = {
    "br": lambda content: pyarrow.CompressedInputStream(pyarrow.BufferReader(content), "brotli"),
    "zstd": lambda content: io.BufferedReader(ZstdFrames(io.BytesIO(content))),
    "gzip": lambda content: gzip.GzipFile(fileobj=io.BytesIO(content)),
    "x-gzip": lambda content: gzip.GzipFile(fileobj=io.BytesIO(content)),
}
"""For a value of Content-Encoding a readable stream of what the bytes of a body hold."""
OK = "200"
"""Status of a response that is the page: all others are redirections and messages of the server."""
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

    The latter are `rejected`. The type of a page comes from the WARC or HTTP headers rather than from libmagic, a
    library of the operating system that not every machine has. Memory: `maximum_record_bytes` of the source.
    """

    def __init__(self, folder: str, limit: int, maximum_record_bytes: int, texts: bool = False) -> None:
        """Args: the last, whether to read the texts of WET files, records of type `conversion`, instead of pages."""
        super().__init__(folder, limit=limit)
        self.maximum_record_bytes = maximum_record_bytes
        self.texts = texts

    def read_file(self, filepath: str) -> Iterator[ReadDocument]:
        """Gives the document or bad record of each HTTP response, or each text, in a file.

        An error while reading ends the file with a bad record, unless the file is gzip and another member follows.
        """
        number, compressed = 0, filepath.endswith(".gz")
        try:
            with self._open(filepath) as file:
                stream = GzipMembers(file, b"WARC/") if compressed else file
                goes_on = True
                while goes_on:
                    goes_on = False
                    try:
                        for record in _records(stream):
                            if document := self._document(RecordLocation(filepath, number, "record"), record):
                                yield document
                            number += 1
                    except READ_ERRORS as error:
                        reason = read_error_reason(error, filepath)
                        if goes_on := isinstance(stream, GzipMembers) and stream.skip_damage():
                            reason = DAMAGED_RECORD
                        yield bad_record(RecordLocation(filepath, number, "record"), reason, str(error))
                        number += 1
        except READ_ERRORS as error:
            yield bad_record(RecordLocation(filepath, number, "record"), read_error_reason(error, filepath), str(error))
        else:
            if number == 0:
                yield bad_record(RecordLocation(filepath, 0, "record"), "empty_file", "")

    def _open(self, filepath: str) -> BinaryIO:
        if filepath.endswith(".gz"):
            return self.data_folder.open(filepath, "rb", compression=None)
        return open_decompressed(self.data_folder, filepath)

    def _document(self, location: RecordLocation, record: ArcWarcRecord) -> ReadDocument | None:
        """The document of a record, or None for one of another type."""
        if record.rec_type not in ((TEXT,) if self.texts else (RESPONSE, TEXT)):
            return None
        if record.rec_type == RESPONSE and not record.rec_headers.get_header("WARC-Target-URI"):
            return bad_record(location, DAMAGED_RECORD, "a response without WARC-Target-URI")
        content = _body(record, self.maximum_record_bytes + 1)
        if content is None:
            return bad_record(location, DAMAGED_RECORD, "the body is not compressed as its header says")
        if len(content) > self.maximum_record_bytes:
            return bad_record(location, "too_long", content)
        if getattr(record.raw_stream, "limit", 0) > 0:
            return bad_record(location, "cut_short", content)
        text, rejected = (decode_page(content), None) if self.texts else _page(record, content)
        metadata = {"url": record.rec_headers.get_header("WARC-Target-URI") or ""}
        return ReadDocument(text, "", metadata=metadata, location=location, rejected=rejected)


class _Loader(ArcWarcRecordLoader):
    """warcio's, for which a record without WARC-Target-URI has no HTTP headers: it fails on one otherwise."""

    def load_http_headers(self, rec_type: str, uri: str | None, stream: Any, length: int) -> Any:
        return super().load_http_headers(rec_type, uri or "", stream, length)


def _records(stream: BinaryIO | GzipMembers) -> Iterator[ArcWarcRecord]:
    records = ArchiveIterator(stream)
    records.loader = _Loader(verify_http=False, arc2warc=False)
    return records


def _body(record: ArcWarcRecord, most: int) -> bytes | None:
    """The first bytes of a record's body, decompressed; None if it cannot be decompressed.

    warcio does it for gzip and deflate alone. Its brotli fails with the package of today, and it has no zstd.
    """
    header = _header(record, "Content-Encoding").lower()
    codings = [coding for each in header.split(",") if (coding := each.strip()) not in ("", "identity")]
    unknown = not DECOMPRESSORS.keys() & set(codings) and len(codings) < 2
    if header == "gzip" or unknown:
        return record.content_stream().read(most)
    chunked = _header(record, "Transfer-Encoding").lower() == "chunked"
    compressed = (ChunkedDataReader(record.raw_stream) if chunked else record.raw_stream).read(most)
    content = compressed
    try:
        # The header names them in the order in which they were applied.
        for coding in reversed(codings):
            content = DECOMPRESSORS[coding](content).read(most)
        return content
    except (*READ_ERRORS, KeyError):
        # Some crawlers store what they decompressed under the header that the server sent.
        return compressed if _is_utf8(compressed) else None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _page(record: ArcWarcRecord, content: bytes) -> tuple[str, str | None]:
    """The HTML of a record, or the beginning of what else it holds and the reason why it is no page."""
    status = record.http_headers.get_statuscode() if record.http_headers else OK
    http_type = _header(record, "Content-Type")
    kind = record.rec_headers.get_header("WARC-Identified-Payload-Type") or http_type.partition(";")[0].strip().lower()
    rejected = None
    if record.rec_type == TEXT:
        rejected = "wet_record"
    elif status != OK:
        rejected = "http_status"
    elif kind not in PAGE_TYPES:
        rejected = "not_html"
    if rejected is not None:
        return content.decode("utf-8", errors="replace").replace("\0", ""), rejected
    text = decode_page(content, declared_charset(http_type))
    return text, None if text.strip() else "empty"


def _header(record: ArcWarcRecord, name: str) -> str:
    """An HTTP header of a record, or "" if there is none."""
    return (record.http_headers and record.http_headers.get_header(name)) or ""
