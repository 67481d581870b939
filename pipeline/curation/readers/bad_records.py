"""Records that cannot be read: the reason, the location, and how they begin.

Readers give them as documents with a reason in the metadata; the first task of the stage takes location and reason out
again and writes bad records to the quarantine.
"""

import gzip
import lzma
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow
import zstandard
from datatrove.data import Document
from warcio.exceptions import ArchiveLoadFailed

from pipeline.core.terminal import one_line
from pipeline.curation.readers.gzip_members import TruncatedFileError

DAMAGE_ERRORS = (
    gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError, pyarrow.ArrowInvalid, ArchiveLoadFailed,
)  # fmt: skip
"""What libraries raise for content that is not what its format says."""
READ_ERRORS = (*DAMAGE_ERRORS, EOFError, OSError, pyarrow.ArrowException)
"""What libraries raise for a file that is damaged, ends early or cannot be opened."""
EXCERPT_CHARACTERS = 200
FILE_REASONS = ("cut_short", "damaged", "empty_file", "unreadable")
"""Reasons after which the rest of the file is not read."""
LOCATION_KEY, REASON_KEY = "place", "bad"
"""Metadata keys that exist between a reader and the first step only."""
REJECTED_KEY = "refused"
"""Metadata key of a page that could be read but is no HTML or is empty. Its value is the reason for which the
extractor removes it: such pages are part of every crawl, and nothing is wrong with the file."""


def read_error_reason(error: BaseException) -> str:
    """The reason, one of `FILE_REASONS`, for which an error of `READ_ERRORS` ended the reading of a file."""
    if isinstance(error, EOFError | TruncatedFileError):
        return "cut_short"
    return "damaged" if isinstance(error, DAMAGE_ERRORS) else "unreadable"


@dataclass(frozen=True)
class RecordLocation:
    """Where a record begins: file, and offset in it."""

    file: str
    offset: int
    unit: Literal["byte", "record"]
    """What the offset counts, in the decompressed file."""


def attach_location(document: Document, location: RecordLocation) -> Document:
    """Notes in the document's metadata where it was read; returns the document."""
    document.metadata[LOCATION_KEY] = location
    return document


def bad_record(location: RecordLocation, reason: str, content: bytes | str) -> Document:
    """A document that stands for a record that cannot be read.

    Args:
        location: where the record begins.
        reason: why it cannot be read, as one word for the report.
        content: the record, or a message; its beginning becomes the document's text.
    """
    text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else content
    return Document(text=text[:EXCERPT_CHARACTERS] or " ", id="", metadata={LOCATION_KEY: location, REASON_KEY: reason})


def pop_location(document: Document) -> tuple[RecordLocation | None, str | None]:
    """Takes a reader's notes out of the document's metadata.

    Returns:
        The location, or None if the document was not in a file; the reason, or None if the document is good.
    """
    return document.metadata.pop(LOCATION_KEY, None), document.metadata.pop(REASON_KEY, None)


def quarantine_row(location: RecordLocation | None, origin: str, reason: str, text: str) -> dict[str, Any]:
    """The row of the quarantine for a bad record: file, offset, unit, reason, and a printable excerpt."""
    where = asdict(location) if location is not None else {"file": origin, "offset": 0, "unit": "record"}
    return {**where, "reason": reason, "excerpt": one_line(text[:EXCERPT_CHARACTERS], EXCERPT_CHARACTERS)}
