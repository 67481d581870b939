"""Records that are no documents: which file, where in it, what is wrong, and how they begin."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from datatrove.data import Document

from pipeline.core.terminal import one_line

EXCERPT_CHARACTERS = 200
FILE_REASONS = ("cut_short", "damaged", "empty_file", "unreadable")
"""Reasons for which the rest of a file is not read either."""
PLACE, BAD = "place", "bad"
"""Keys of the metadata between a reader and the first step."""


@dataclass(frozen=True)
class Place:
    """Where a record begins."""

    file: str
    offset: int
    unit: Literal["byte", "record"]
    """What the offset counts, in the file without its compression."""


def attach_place(document: Document, place: Place) -> Document:
    """Notes where a document was read."""
    document.metadata[PLACE] = place
    return document


def bad_record(place: Place, reason: str, content: bytes | str) -> Document:
    """What stands for a record that cannot be read: its beginning."""
    text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else content
    return Document(text=text[:EXCERPT_CHARACTERS] or " ", id="", metadata={PLACE: place, BAD: reason})


def pop_place(document: Document) -> tuple[Place | None, str | None]:
    """Where a document was read, if it was in a file, and the reason if it is none; takes both out of the metadata."""
    return document.metadata.pop(PLACE, None), document.metadata.pop(BAD, None)


def quarantine_row(place: Place | None, origin: str, reason: str, text: str) -> dict[str, Any]:
    """The record as it is written down."""
    where = asdict(place) if place is not None else {"file": origin, "offset": 0, "unit": "record"}
    return {**where, "reason": reason, "excerpt": one_line(text[:EXCERPT_CHARACTERS], EXCERPT_CHARACTERS)}
