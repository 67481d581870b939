"""Copies taken out of documents: what the repeated runs say, checked against the text of the first copy."""

import itertools
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import FilterResult, Removal
from pipeline.curation.dedup.repeats import REPEAT, UNIT_BITS
from pipeline.curation.dedup.text_store import CandidateTexts
from pipeline.curation.dedup.units import Units, units_of
from pipeline.curation.recipes.steps.duplicates import SubstringDedup
from pipeline.curation.text.documents import content_id, read_documents

UNCUT = "uncut_id"
"""Metadata of a document of which something was taken out: its id before."""


@dataclass(frozen=True)
class Copy:
    """A span of a document that stood before."""

    start: int
    """Its first unit."""
    count: int
    """Its units."""
    source: int
    """The document of the first copy, by its place."""
    at: int
    """The first copy's first unit."""
    identity: str
    """The id of the document of the first copy."""


@dataclass(frozen=True)
class Before:
    """What earlier runs kept: its places come first."""

    files: Sequence[Path] = ()
    """The documents."""
    count: int = 0
    """How many there are."""
    ids: Container[str] = ()
    """Their ids."""


def without_copies(
    shards: Sequence[Path],
    repeats: Sequence[Path],
    work: Path,
    step: SubstringDedup,
    audit: AuditLog,
    before: Before = Before(),
) -> Iterator[Document]:
    """The documents without what stood before, and a row of evidence for each span taken out.

    A document that goes whole is no first copy of anything: what stood in it too stays where it is next. Memory: some
    40 bytes for each repeated run; the texts of first copies are in files in `work`.
    """
    found = numpy.concatenate([numpy.empty(0, REPEAT), *map(numpy.load, repeats)])
    found = found[numpy.argsort(found["place"], kind="stable")]
    owners = (found["place"] >> numpy.uint64(UNIT_BITS)).astype(numpy.int64)
    sources = numpy.unique(found["first"] >> numpy.uint64(UNIT_BITS)).astype(numpy.int64)
    texts = CandidateTexts(work, sources, _placed([*before.files, *shards]))
    divide = units_of(step)
    gone: set[int] = set()
    edited: set[str] = set()

    def words_of_first(document: int) -> tuple[str, list[bytes]]:
        number = int(numpy.searchsorted(sources, document))
        return texts.identity(number), _parts(texts.text(number), divide)

    for place, document in _placed(shards, before.count):
        begin, end = numpy.searchsorted(owners, [place, place + 1])
        size = len(document.text)
        copies = []
        if begin < end:
            confirmed = _confirmed(found[begin:end], document, step, divide, words_of_first)
            copies = [copy for copy in confirmed if copy.source not in gone]
        if not copies:
            audit.keep(step.step, size, size)
            yield document
            continue
        left, text = _cut(document.text, divide(document.text), copies, place)
        identity = content_id(text)
        matches = tuple(
            {
                "reason": "copy", "value": copy.count, "threshold": step.minimum_units, "unit": step.unit,
                "at": copy.start, "duplicate_of": copy.identity,
            }
            for copy in copies
        )  # fmt: skip
        audit.find(step.step, document, FilterResult(counts={"copies": len(copies)}, matches=matches))
        if left < step.minimum_left:
            longest = max(copies, key=lambda copy: copy.count)
            removal = Removal(reason="copied", value=left, threshold=step.minimum_left, duplicate_of=longest.identity)
        elif identity in edited or identity in before.ids:
            removal = Removal(reason="same_content", duplicate_of=identity)
        else:
            edited.add(identity)
            document.metadata[UNCUT] = str(document.id)
            document.text, document.id = text, identity
            audit.keep(step.step, size, len(text), edited=True)
            yield document
            continue
        gone.add(place)
        audit.remove(step.step, document, removal)


def _placed(files: Sequence[Path], first: int = 0) -> Iterator[tuple[int, Document]]:
    return enumerate(itertools.chain.from_iterable(map(read_documents, files)), start=first)


def _parts(text: str, divide: Callable[[str], Units]) -> list[bytes]:
    content = text.encode()
    return [content[start:end] for start, end in divide(text)[1].tolist()]


def _confirmed(
    repeats: numpy.ndarray,
    document: Document,
    step: SubstringDedup,
    divide: Callable[[str], Units],
    words_of_first: Callable[[int], tuple[str, list[bytes]]],
) -> Iterator[Copy]:
    """The spans that are truly copies.

    Equal hashes are not yet equal texts: a run is counted only if its units are those of the first copy.
    """
    own = _parts(document.text, divide)
    mask = numpy.uint64((1 << UNIT_BITS) - 1)
    known: dict[int, tuple[str, list[bytes]]] = {}
    for start, count, source, at in _joined(repeats, step.minimum_units, mask):
        if source not in known:
            known = {source: words_of_first(source)}
        identity, words = known[source]
        same = 0
        for place in range(start, start + count + 1):
            if place < start + count and own[place] == words[at + place - start]:
                same += 1
                continue
            if same >= step.minimum_units:
                yield Copy(place - same, same, source, at + place - same - start, identity)
            same = 0


def _joined(repeats: numpy.ndarray, length: int, mask: numpy.uint64) -> Iterator[tuple[int, int, int, int]]:
    """Runs one after the other in both places as one span: unit, units, document and unit of the first copy."""
    units = (repeats["place"] & mask).astype(numpy.int64)
    sources = (repeats["first"] >> numpy.uint64(UNIT_BITS)).astype(numpy.int64)
    firsts = (repeats["first"] & mask).astype(numpy.int64)
    goes_on = numpy.zeros(len(units), bool)
    goes_on[1:] = (numpy.diff(units) == 1) & (numpy.diff(firsts) == 1) & (sources[1:] == sources[:-1])
    starts = numpy.flatnonzero(~goes_on)
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(units)], strict=True):
        yield int(units[begin]), end - begin - 1 + length, int(sources[begin]), int(firsts[begin])


def _cut(text: str, units: Units, copies: Sequence[Copy], place: int) -> tuple[int, str]:
    """How many units are left, and the text without the copies and the white space after them."""
    numbers, spans = units
    gone = numpy.zeros(len(numbers) + 1, bool)
    for copy in copies:
        gone[copy.start : copy.start + copy.count] = True
    for copy in copies:
        # A text that repeats itself can have a copy that overlaps the first.
        if copy.source == place:
            gone[copy.at : copy.at + copy.count] = False
    if not gone.any():
        return len(numbers), text
    content = text.encode()
    parts, written = [], 0
    borders = numpy.flatnonzero(numpy.diff(gone.astype(numpy.int8), prepend=0)).tolist()
    for begin, end in zip(borders[::2], borders[1::2], strict=True):
        parts.append(content[written : spans[begin][0]])
        written = int(spans[end][0]) if end < len(spans) else int(spans[end - 1][1])
    parts.append(content[written:])
    # A cut between the bytes of a character leaves its rest behind, which is no text.
    return int(len(numbers) - gone.sum()), b"".join(parts).decode(errors="ignore").strip()
