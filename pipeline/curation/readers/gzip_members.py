"""The content of a gzip file of many members, which can be read on after a damaged one.

WARC files have a member for each record (ISO 28500, annex D), so that damage costs the records it lies in.
"""

import io
import zlib
from typing import Any, BinaryIO

MAGIC = b"\x1f\x8b\x08"
GZIP = 31
"""What zlib calls a gzip header and the largest window."""
CHUNK = 1 << 16
PEEK = 4096
"""Compressed bytes in which a member shows how it begins."""


class CutShort(OSError):
    """A file ends inside a member. No EOFError, which readers of archives take for an end like any other."""


class GzipMembers(io.RawIOBase):
    """Reads one member after the other. Memory: two chunks."""

    def __init__(self, file: BinaryIO, begins: bytes) -> None:
        """Args: compressed `file`, which can seek; what the content of every member `begins` with."""
        super().__init__()
        self._file, self._begins = file, begins
        self._inflate: zlib._Decompress | None = None
        self._compressed = b""
        self._start = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """As `io.RawIOBase` says.

        Raises:
            CutShort: if the file ends inside a member.
            zlib.error: where it is damaged.
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
                raise CutShort("the file ends inside a gzip member")

    def skip_damage(self) -> bool:
        """Goes to the next member that begins as all do; False if there is none."""
        self._inflate, self._compressed = None, b""
        place = self._start + 1
        while True:
            self._file.seek(place)
            chunk = self._file.read(CHUNK)
            if len(chunk) < len(MAGIC):
                return False
            found = chunk.find(MAGIC)
            if found < 0:
                place += len(chunk) - len(MAGIC) + 1
            elif self._is_member(place + found):
                self._file.seek(place + found)
                return True
            else:
                place += found + 1

    def _is_member(self, place: int) -> bool:
        self._file.seek(place)
        try:
            return zlib.decompressobj(GZIP).decompress(self._file.read(PEEK), len(self._begins)) == self._begins
        except zlib.error:
            return False
