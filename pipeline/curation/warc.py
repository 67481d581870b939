"""Pages in WARC files, written and read."""

import io
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.readers import WarcReader
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.curation.embedded.text import EmbeddedText
from pipeline.errors import DataError

PAGE_TYPES = ("text/html", "application/xhtml+xml")
EPOCH = "2000-01-01T00:00:00Z"
"""Date of pages that have none: a constant, so that the same pages make the same file."""


def write_warc(path: Path, pages: Iterable[EmbeddedText]) -> int:
    """Writes pages as the responses of a crawl; returns their number."""
    written = 0
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for page in pages:
            address = f"pydoc://{page.origin}"
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
    operating system that not every machine has.
    """

    def read_file(self, filepath: str) -> Iterator[Document]:
        """The responses of a file.

        Raises:
            DataError: for a file that is no WARC.
        """
        with self.data_folder.open(filepath, "rb", compression=self.compression) as file:
            try:
                for number, record in enumerate(ArchiveIterator(file)):
                    if record.rec_type == "response":
                        document = self.get_document_from_dict(_page(record), filepath, number)
                        assert document is not None, filepath
                        yield document
            except ArchiveLoadFailed as error:
                raise DataError(f"{filepath}: not a WARC file: {error}; fetch the file again") from error


def _page(record: ArcWarcRecord) -> dict[str, str]:
    content = record.content_stream().read()
    row = {
        "id": record.rec_headers.get_header("WARC-Record-ID") or "",
        "url": record.rec_headers.get_header("WARC-Target-URI") or "",
    }
    kind = record.rec_headers.get_header("WARC-Identified-Payload-Type")
    if kind is None and record.http_headers is not None:
        kind = (record.http_headers.get_header("Content-Type") or "").partition(";")[0].strip().lower()
    if kind not in PAGE_TYPES:
        return {**row, "text": content.decode("utf-8", errors="replace") or " ", "refused": "not_html"}
    text = _decode(content)
    if text is None:
        return {**row, "text": content.decode("utf-8", errors="replace"), "refused": "unknown_encoding"}
    return {**row, "text": text} if text.strip() else {**row, "text": " ", "refused": "empty"}


def _decode(content: bytes) -> str | None:
    """The text of bytes in UTF-8 or, failing that, in the encoding they look most like."""
    import cchardet

    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        guess = cchardet.detect(content)["encoding"]
    try:
        return content.decode(guess) if guess else None
    except (UnicodeDecodeError, LookupError):
        return None
