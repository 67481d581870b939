"""Copies taken out of documents: what the repeated runs say, checked against the text of the first copy."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.curation.candidate_texts import CandidateTexts
from pipeline.curation.documents import content_id, read_documents
from pipeline.curation.ledger import Ledger
from pipeline.curation.recipe_steps import SubstringDedup
from pipeline.curation.repeats import REPEAT, UNIT_BITS
from pipeline.curation.rules.rule import Judgement, Removal
from pipeline.curation.units import Units, units_of

Copy = tuple[int, int, int, int]
"""First unit, number of units, document and unit of the first copy."""


def without_copies(
    shards: Sequence[Path], repeats: Sequence[Path], work: Path, step: SubstringDedup, ledger: Ledger
) -> Iterator[Document]:
    """The documents without what stood before, and a row of evidence for each span taken out.

    Memory: 16 bytes for each repeated run; the texts of first copies are in files in `work`.
    """
    found = numpy.concatenate([numpy.empty(0, REPEAT), *map(numpy.load, repeats)])
    found = found[numpy.argsort(found["place"], kind="stable")]
    owners = (found["place"] >> numpy.uint64(UNIT_BITS)).astype(numpy.int64)
    sources = numpy.unique(found["first"] >> numpy.uint64(UNIT_BITS)).astype(numpy.int64)
    texts = CandidateTexts(work, sources, _placed(shards))
    divide = units_of(step)

    def words_of_first(document: int) -> tuple[str, list[bytes]]:
        number = int(numpy.searchsorted(sources, document))
        return texts.identity(number), _parts(texts.text(number), divide)

    for place, document in _placed(shards):
        begin, end = numpy.searchsorted(owners, [place, place + 1])
        before = len(document.text)
        if begin == end:
            ledger.keep(step.step, before, before)
            yield document
            continue
        copies = list(_confirmed(found[begin:end], document, step, divide, words_of_first))
        left, text = _cut(document.text, divide(document.text), copies)
        matches = tuple(
            {
                "reason": "copy",
                "value": count,
                "threshold": step.minimum_units,
                "unit": step.unit,
                "at": at,
                "duplicate_of": identity,
            }
            for at, count, identity in copies
        )
        ledger.find(step.step, document, Judgement(counts={"copies": len(copies)} if copies else {}, matches=matches))
        if copies and left < step.minimum_left:
            removal = Removal(
                reason="copied",
                value=left,
                threshold=step.minimum_left,
                duplicate_of=max(copies, key=lambda copy: copy[1])[2],
            )
            ledger.remove(step.step, document, removal)
            continue
        document.text = text
        if copies:
            document.id = content_id(text)
        ledger.keep(step.step, before, len(text), edited=bool(copies))
        yield document


def _placed(shards: Sequence[Path]) -> Iterator[tuple[int, Document]]:
    place = 0
    for path in shards:
        for document in read_documents(path):
            yield place, document
            place += 1


def _parts(text: str, divide: Callable[[str], Units]) -> list[bytes]:
    content = text.encode()
    return [content[start:end] for start, end in divide(text)[1].tolist()]


def _confirmed(
    repeats: numpy.ndarray,
    document: Document,
    step: SubstringDedup,
    divide: Callable[[str], Units],
    words_of_first: Callable[[int], tuple[str, list[bytes]]],
) -> Iterator[tuple[int, int, str]]:
    """First unit, number of units, and the first copy's document, of each span that is truly a copy.

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
                yield place - same, same, identity
            same = 0


def _joined(repeats: numpy.ndarray, length: int, mask: numpy.uint64) -> Iterator[Copy]:
    """Runs one after the other in both places as one span."""
    units = (repeats["place"] & mask).astype(numpy.int64)
    sources = (repeats["first"] >> numpy.uint64(UNIT_BITS)).astype(numpy.int64)
    firsts = (repeats["first"] & mask).astype(numpy.int64)
    goes_on = numpy.zeros(len(units), bool)
    goes_on[1:] = (numpy.diff(units) == 1) & (numpy.diff(firsts) == 1) & (sources[1:] == sources[:-1])
    starts = numpy.flatnonzero(~goes_on)
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(units)], strict=True):
        yield int(units[begin]), end - begin - 1 + length, int(sources[begin]), int(firsts[begin])


def _cut(text: str, units: Units, copies: Sequence[tuple[int, int, str]]) -> tuple[int, str]:
    """How many units are left, and the text without the copies and the white space after them."""
    numbers, spans = units
    gone = numpy.zeros(len(numbers) + 1, bool)
    for start, count, _ in copies:
        gone[start : start + count] = True
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
