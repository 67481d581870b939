"""Files of sorted documents from which one range of ids can be read without the rest.

A task that merges one range reads that range of every part. So a part is written as a gzip member for each range, with
an array beside it that says where each begins. No file stays open: what is read is the compressed range.
"""

import gzip
import io
import itertools
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy
import orjson
from datatrove.data import Document

from pipeline.core.arrays import write_array
from pipeline.core.errors import DataError
from pipeline.curation.text.documents import COMPRESSION_LEVEL, as_row

OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def write_part(path: Path, documents: Iterable[Document], ranges: int, range_of: Callable[[Document], int]) -> None:
    """Writes sorted documents; the file appears whole or not at all.

    Memory: the documents of one range.

    Args:
        path: of the file; `<path>.npy` says where ranges begin and end, int64 (ranges + 1).
        documents: in the order of their ranges.
        ranges: how many there are.
        range_of: the number of the range that a document is in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ends = numpy.zeros(ranges + 1, numpy.int64)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        for number, members in itertools.groupby(documents, key=range_of):
            rows = b"".join(orjson.dumps(as_row(document), option=OPTIONS) for document in members)
            file.write(gzip.compress(rows, COMPRESSION_LEVEL, mtime=0))
            ends[number + 1 :] = file.tell()
        file.flush()
        os.fsync(file.fileno())
    write_array(_ends(path), ends)
    beside.replace(path)


def read_range(path: Path, number: int) -> Iterator[Document]:
    """The documents of one range of a file that `write_part` wrote, in their order.

    Memory: the compressed range; one document of it at a time.

    Raises:
        DataError: when it comes to what is damaged.
    """
    begin, end = numpy.load(_ends(path))[number : number + 2].tolist()
    with path.open("rb") as file:
        file.seek(begin)
        return _documents(path, file.read(end - begin))


def _documents(path: Path, compressed: bytes) -> Iterator[Document]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(compressed)) as lines:
            for line in lines:
                yield Document(**orjson.loads(line))
    except (EOFError, gzip.BadGzipFile, zlib.error, orjson.JSONDecodeError) as error:
        raise DataError(f"{path}: damaged ({error}); make its stage again") from None


def _ends(path: Path) -> Path:
    return path.with_name(f"{path.name}.npy")
