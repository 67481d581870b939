"""Records that cannot be read: the reason, the location, and how they begin.

Readers give them as documents with a reason, which the first task of the stage writes to the quarantine. Reason and
location are fields of the document: its metadata are the columns of somebody's table, which may have any name.
"""

import errno
import gzip
import lzma
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow
import zstandard
from datatrove.data import Document
from warcio.exceptions import ArchiveLoadFailed

from pipeline.core.errors import DataError
from pipeline.core.terminal import one_line
from pipeline.curation.readers.gzip_members import TruncatedFileError

DAMAGE_ERRORS = (
    gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError, pyarrow.ArrowInvalid, ArchiveLoadFailed,
)  # fmt: skip
"""What libraries raise for content that is not what its format says."""
READ_ERRORS = (*DAMAGE_ERRORS, EOFError, OSError, pyarrow.ArrowException)
"""What libraries raise for a file that is damaged, ends early or cannot be opened."""
NETWORK_LIBRARIES = frozenset(
    {"aiohttp", "botocore", "http", "httpcore", "httpx", "httpx2", "requests", "socket", "ssl", "urllib3"}
)
"""Packages whose exceptions say that a service or the way to it failed. Which of them is installed, the file systems of
fsspec decide."""
NETWORK_ERRNOS = (
    errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN, errno.ESTALE,
)  # fmt: skip
EXCERPT_CHARACTERS = 200
FILE_REASONS = ("cut_short", "damaged", "empty_file", "unreadable")
"""Reasons after which the rest of the file is not read."""


def read_error_reason(error: BaseException, file: str) -> str:
    """The reason, one of `FILE_REASONS`, for which an error ended the reading of a file.

    Raises:
        DataError: for a network that failed. Nothing is wrong with the file, so its rest may not be left out.
    """
    if _is_of_the_network(error):
        raise DataError(
            f"{file}: the network failed ({type(error).__name__}: {one_line(str(error), EXCERPT_CHARACTERS)}); run "
            "again when it works: what is done stays done"
        ) from error
    if isinstance(error, EOFError | TruncatedFileError):
        return "cut_short"
    return "damaged" if isinstance(error, DAMAGE_ERRORS) else "unreadable"


def _is_of_the_network(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is of a connection and not of the content that came over it."""
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError) or getattr(error, "errno", None) in NETWORK_ERRNOS:
            return True
        if NETWORK_LIBRARIES & {each.__module__.partition(".")[0] for each in type(error).__mro__}:
            return True
        error = error.__cause__ or error.__context__
    return False


@dataclass(frozen=True)
class RecordLocation:
    """Where a record begins: file, and offset in it."""

    file: str
    offset: int
    unit: Literal["byte", "record"]
    """What the offset counts, in the decompressed file."""
    number: int | None = None
    """The record's number from 1, of a file of lines the line's, where the reader counts it."""

    def as_row(self) -> dict[str, Any]:
        """File, offset and unit, as rows of a quarantine have them."""
        return {"file": self.file, "offset": self.offset, "unit": self.unit}


@dataclass
class ReadDocument(Document):
    """A document as a reader gives it. What the added fields say is not stored with the document."""

    location: RecordLocation | None = None
    """Where it was read; None if it was in no file."""
    bad: str | None = None
    """The reason why it is no document, or None."""
    is_text: bool = False
    """Whether it needs no extractor, in a recipe that has one for other sources."""
    rejected: str | None = None
    """The reason for which an extractor removes a page that could be read but has no text to extract, such as an image
    or an error of the server: these are part of every crawl, and nothing is wrong with the file."""


def bad_record(location: RecordLocation, reason: str, content: bytes | str) -> ReadDocument:
    """A document that stands for a record that cannot be read.

    Args:
        location: where the record begins.
        reason: why it cannot be read, as one word for the report.
        content: the record, or a message; its beginning becomes the document's text.
    """
    text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else content
    return ReadDocument(text=text[:EXCERPT_CHARACTERS] or " ", id="", location=location, bad=reason)


def quarantine_row(location: RecordLocation | None, origin: str, reason: str, text: str) -> dict[str, Any]:
    """The row of the quarantine for a bad record: file, offset, unit, reason, and a printable excerpt."""
    where = location.as_row() if location is not None else {"file": origin, "offset": 0, "unit": "record"}
    return {**where, "reason": reason, "excerpt": one_line(text[:EXCERPT_CHARACTERS], EXCERPT_CHARACTERS)}
