"""Reads zstd files of one or many frames, and tells a file that ends early from a whole one."""

import io
from typing import Any, BinaryIO

import zstandard

from pipeline.curation.readers.gzip_members import TruncatedFileError

SUFFIXES = (".zst", ".zstd")
"""How the names of zstd files end."""
CHUNK = 4096
"""Compressed bytes that are decompressed at once: a block of four bytes can hold 128 KiB."""
LARGEST_WINDOW = 2**31
"""Bytes that a frame may refer back to: what `zstd --long=31` writes, as in large public dumps."""


class ZstdFrames(io.RawIOBase):
    """The decompressed content of all frames of a file, one after the other.

    The decompressors of fsspec and zstandard have no lines, refuse windows above 128 MiB, and take the end of a file
    that was cut short for its end.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Args: `file`, compressed."""
        super().__init__()
        self._file = file
        self._frame: Any = None
        self._rest = self._content = b""

    def readable(self) -> bool:
        """Always True: the interface of `io.RawIOBase` asks."""
        return True

    def close(self) -> None:
        """Closes the compressed file too."""
        self._file.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:
        """Fills the buffer with decompressed bytes; returns how many, 0 at the end of the file.

        Raises:
            TruncatedFileError: if the file ends inside a frame.
            zstandard.ZstdError: where the file is damaged.
        """
        view = memoryview(buffer).cast("B")
        while not self._content:
            data = self._rest or self._file.read(CHUNK)
            if not data:
                if self._frame is not None:
                    raise TruncatedFileError("the file ends inside a zstd frame")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
            self._content, self._rest = self._frame.decompress(data), b""
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, None
        length = min(len(view), len(self._content))
        view[:length], self._content = self._content[:length], self._content[length:]
        return length


def open_decompressed(folder: Any, path: str) -> BinaryIO:
    """Opens a file of a datatrove folder for reading; its name says how it is compressed.

    Args:
        folder: datatrove's `DataFolder`.
        path: the file in it.

    Raises:
        OSError: if it cannot be opened.
    """
    if path.endswith(SUFFIXES):
        return io.BufferedReader(ZstdFrames(folder.open(path, "rb", compression=None)))
    file = folder.open(path, "rb", compression="infer")
    return file if hasattr(file, "readline") else io.BufferedReader(file)
