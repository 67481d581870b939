"""The texts of candidates on disk, to be read in any order."""

import mmap
from collections.abc import Iterable
from pathlib import Path

import numpy
from datatrove.data import Document

ID_CHARACTERS = 64


class CandidateTexts:
    """Texts one after the other in a file. Memory: 8 bytes a text, and what the system keeps of the file."""

    def __init__(self, folder: Path, places: numpy.ndarray, documents: Iterable[tuple[int, Document]]) -> None:
        """Writes the texts of some documents.

        Args:
            folder: for the two files, which are written anew.
            places: the candidates' places, sorted.
            documents: all documents with their places, in order.
        """
        folder.mkdir(parents=True, exist_ok=True)
        ends = numpy.zeros(len(places) + 1, numpy.int64)
        self.characters = numpy.zeros(len(places), numpy.int64)
        number = 0
        with (folder / "texts").open("wb") as texts, (folder / "ids").open("wb") as ids:
            for place, document in documents:
                if number == len(places):
                    break
                if place != places[number]:
                    continue
                content = document.text.encode()
                texts.write(content)
                ids.write(str(document.id).encode().ljust(ID_CHARACTERS))
                self.characters[number] = len(document.text)
                number += 1
                ends[number] = ends[number - 1] + len(content)
        assert number == len(places), (number, len(places))
        self._ends = ends
        self._texts = _mapped(folder / "texts")
        self._ids = _mapped(folder / "ids")

    def text(self, number: int) -> str:
        """A candidate's text."""
        return self._texts[self._ends[number] : self._ends[number + 1]].decode()

    def identity(self, number: int) -> str:
        """A candidate's id."""
        return self._ids[number * ID_CHARACTERS : (number + 1) * ID_CHARACTERS].decode().strip()


def _mapped(path: Path) -> "mmap.mmap | bytes":
    if not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
