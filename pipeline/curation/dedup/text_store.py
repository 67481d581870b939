"""Texts of some documents on disk, to be read in any order."""

import itertools
import mmap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.curation.text.documents import read_documents

ID_CHARACTERS = 64
"""Of a document's id, SHA-256 in hexadecimal."""


def enumerate_documents(files: Sequence[Path], start: int = 0) -> Iterator[tuple[int, Document]]:
    """Yields the documents of several files with their index over all of them, the first of which is `start`."""
    return enumerate(itertools.chain.from_iterable(map(read_documents, files)), start=start)


class TextStore:
    """Texts and ids of chosen documents in two mapped files, and the lengths of the texts.

    Memory: 16 bytes a text, and what the system keeps of the files.
    """

    def __init__(self, folder: Path, indices: numpy.ndarray, documents: Iterable[tuple[int, Document]]) -> None:
        """Writes the files.

        Args:
            folder: for the two files, which are written anew.
            indices: of the documents to store, ascending.
            documents: all documents with their indices, in order.
        """
        folder.mkdir(parents=True, exist_ok=True)
        ends = numpy.zeros(len(indices) + 1, numpy.int64)
        self.characters = numpy.zeros(len(indices), numpy.int64)
        """Length of each text, in the order of the indices."""
        number = 0
        with (folder / "texts").open("wb") as texts, (folder / "ids").open("wb") as ids:
            for index, document in documents:
                if number == len(indices):
                    break
                if index != indices[number]:
                    continue
                content = document.text.encode()
                texts.write(content)
                ids.write(str(document.id).encode().ljust(ID_CHARACTERS))
                self.characters[number] = len(document.text)
                number += 1
                ends[number] = ends[number - 1] + len(content)
        assert number == len(indices), (number, len(indices))
        self._ends = ends
        self._texts = _memory_map(folder / "texts")
        self._ids = _memory_map(folder / "ids")

    def text(self, number: int) -> str:
        """The text of the document whose index is `indices[number]`."""
        return self._texts[self._ends[number] : self._ends[number + 1]].decode()

    def document_id(self, number: int) -> str:
        """The id of the document whose index is `indices[number]`."""
        return self._ids[number * ID_CHARACTERS : (number + 1) * ID_CHARACTERS].decode().strip()


def _memory_map(path: Path) -> "mmap.mmap | bytes":
    if not path.stat().st_size:
        return b""  # an empty file cannot be mapped
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
