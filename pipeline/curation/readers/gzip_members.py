"""Reads gzip files of many members, and reads on after a damaged one.

WARC files have a gzip member for each record (ISO 28500, annex D), so damage costs only the records it lies in.
"""

import io
import zlib
from typing import Any, BinaryIO

MAGIC = b"\x1f\x8b\x08"
"""How a gzip member begins (RFC 1952): two magic bytes, and deflate as the method."""
GZIP = 31
"""zlib's `wbits` for a gzip header and the largest window."""
CHUNK = 1 << 16
PEEK = 4096
"""Compressed bytes that are enough to see how a member's content begins."""


class TruncatedFileError(OSError):
    """A file ends inside a gzip member. It is no EOFError, which readers of archives take for a regular end."""


class GzipMembers(io.RawIOBase):
    """The decompressed content of all members of a gzip file, one after the other. Memory: two chunks."""

    def __init__(self, file: BinaryIO, begins: bytes) -> None:
        """Args: `file`, compressed, which can seek; `begins`, with which the content of every member begins."""
        super().__init__()
        self._file, self._begins = file, begins
        self._inflate: zlib._Decompress | None = None
        self._compressed = b""
        self._start = 0

    def readable(self) -> bool:
        """Always True: the interface of `io.RawIOBase` asks."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fills the buffer with decompressed bytes; returns how many, 0 at the end of the file.

        Raises:
            TruncatedFileError: if the file ends inside a member.
            zlib.error: where the file is damaged; `skip_damage` goes on.
        """
        view = memoryview(buffer).cast("B")
        while True:
            data = self._compressed or self._file.read(CHUNK)
            if self._inflate is None:
                # Some writers fill blocks up with zeros.
                self._compressed = data.lstrip(b"\0")
                if not data:
                    return 0
                if self._compressed:
                    self._start = self._file.tell() - len(self._compressed)
                    self._inflate = zlib.decompressobj(GZIP)
                continue
            content = self._inflate.decompress(data, len(view))
            ended = self._inflate.eof
            self._compressed = self._inflate.unused_data if ended else self._inflate.unconsumed_tail
            if ended:
                self._inflate = None
            if content:
                view[: len(content)] = content
                return len(content)
            if not data and not ended:
                raise TruncatedFileError("the file ends inside a gzip member")

    def skip_damage(self) -> bool:
        """Goes to the next place after the current member's start where a whole member begins.

        The magic bytes also occur inside compressed data, so each candidate is decompressed a little and its content
        compared with what every member begins with.

        Returns:
            False if there is no further member.
        """
        self._inflate, self._compressed = None, b""
        position = self._start + 1
        while True:
            self._file.seek(position)
            chunk = self._file.read(CHUNK)
            if len(chunk) < len(MAGIC):
                return False
            found = chunk.find(MAGIC)
            if found < 0:
                position += len(chunk) - len(MAGIC) + 1
            elif self._is_member(position + found):
                self._file.seek(position + found)
                return True
            else:
                position += found + 1

    def _is_member(self, position: int) -> bool:
        self._file.seek(position)
        try:
            return zlib.decompressobj(GZIP).decompress(self._file.read(PEEK), len(self._begins)) == self._begins
        except zlib.error:
            return False
