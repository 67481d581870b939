"""What libraries raise at files that are damaged or cannot be opened."""

import gzip
import lzma
import zlib

import pyarrow
import zstandard
from warcio.exceptions import ArchiveLoadFailed

from pipeline.curation.readers.gzip_members import CutShort

DAMAGED = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError, pyarrow.ArrowInvalid, ArchiveLoadFailed)
READ_ERRORS = (*DAMAGED, EOFError, OSError, pyarrow.ArrowException)


def reason_of(error: BaseException) -> str:
    """The reason to write down."""
    if isinstance(error, EOFError | CutShort):
        return "cut_short"
    return "damaged" if isinstance(error, DAMAGED) else "unreadable"
