"""Takes copies out of documents: passages that stood before, word for word, in the same domain or in a previous run.

After Lee et al. 2022 (arXiv 2107.06499, EXACTSUBSTR), with two differences: the first occurrence stays, and what the
hashes of repeated n-grams say is checked against the text before anything is taken out.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import FilterResult, Removal
from pipeline.curation.dedup.repeated_ngrams import REPEAT, document_of, unit_of
from pipeline.curation.dedup.text_store import TextStore, enumerate_documents
from pipeline.curation.dedup.text_units import TextUnits, unit_splitter
from pipeline.curation.recipes.steps.duplicates import SubstringDedup
from pipeline.curation.text.documents import content_id

UNCUT_ID = "uncut_id"
"""Metadata of a document of which something was taken out: its id before."""

FirstDocument = tuple[str, list[bytes]]
"""The id of a document with first occurrences, and the UTF-8 bytes of each of its units."""


@dataclass(frozen=True)
class CopiedSpan:
    """A passage of a document that occurred before."""

    start: int
    """Number of its first unit."""
    count: int
    """How many units it has."""
    first_document: int
    """Index of the document with the first occurrence, which may be the same one."""
    first_start: int
    """Number of the first unit there."""
    first_id: str
    """Id of that document."""


@dataclass(frozen=True)
class PreviousDocuments:
    """What previous runs kept in the domain. Their documents come before those of this run."""

    files: Sequence[Path] = ()
    """The files with the documents, in order."""
    count: int = 0
    """Number of the documents."""
    ids: Container[str] = ()
    """The ids of these documents."""


def remove_copies(
    shards: Sequence[Path],
    repeats: Sequence[Path],
    work: Path,
    step: SubstringDedup,
    audit: AuditLog,
    previous: PreviousDocuments = PreviousDocuments(),
) -> Iterator[Document]:
    """Yields the documents without what occurred before, and writes down each passage taken out and each document gone.

    For each document its repeated n-grams are looked up, consecutive ones are joined into spans and checked against the
    text of the first occurrence, and what holds is cut out. A document of which too little is left goes whole, as does
    one that became equal to another. Documents come in order, so it is known by then whether the document with the
    first occurrence has itself gone: then the copy is the first occurrence that is left, and stays. An edited document
    gets a new id and remembers the old one in its metadata.

    Args:
        shards: files of the domain's documents, in the order of their ids.
        repeats: files of repeated n-grams, arrays of `REPEAT`, of all buckets.
        work: folder for the texts with first occurrences.
        step: its unit and limits.
        audit: takes down what is kept and removed, with a row of evidence for each passage.
        previous: documents of previous runs, whose indices come before those of the shards.

    Raises:
        DataError: for a tokenizer that is not there.

    Memory: some 40 bytes for each repeated n-gram; texts with first occurrences are in files.
    """
    found = numpy.concatenate([numpy.empty(0, REPEAT), *map(numpy.load, repeats)])
    found = found[numpy.argsort(found["place"], kind="stable")]
    owners = document_of(found["place"])
    first_documents = numpy.unique(document_of(found["first"]))
    texts = TextStore(work, first_documents, enumerate_documents([*previous.files, *shards]))
    split = unit_splitter(step)
    gone: set[int] = set()
    edited: set[str] = set()

    def first_document_at(index: int) -> FirstDocument:
        number = int(numpy.searchsorted(first_documents, index))
        return texts.document_id(number), _unit_bytes(texts.text(number), split)

    for index, document in enumerate_documents(shards, previous.count):
        begin, end = numpy.searchsorted(owners, [index, index + 1])
        size = len(document.text)
        copies = []
        if begin < end:
            units = _unit_bytes(document.text, split)
            verified = _verified_spans(found[begin:end], units, step.minimum_units, first_document_at)
            copies = [copy for copy in verified if copy.first_document not in gone]
        if not copies:
            audit.keep(step.step, size, size)
            yield document
            continue
        audit.note_findings(step.step, document, _evidence(copies, step))
        left, text = _cut_out(document.text, split(document.text), copies, index)
        document_id = content_id(text)
        if left < step.minimum_left:
            longest = max(copies, key=lambda copy: copy.count)
            removal = Removal(reason="copied", value=left, threshold=step.minimum_left, duplicate_of=longest.first_id)
        elif document_id in edited or document_id in previous.ids:
            removal = Removal(reason="same_content", duplicate_of=document_id)
        else:
            edited.add(document_id)
            document.metadata[UNCUT_ID] = str(document.id)
            document.text, document.id = text, document_id
            audit.keep(step.step, size, len(text), edited=True)
            yield document
            continue
        gone.add(index)
        audit.remove(step.step, document, removal)


def _unit_bytes(text: str, split: Callable[[str], TextUnits]) -> list[bytes]:
    content = text.encode()
    return [content[start:end] for start, end in split(text)[1].tolist()]


def _evidence(copies: Sequence[CopiedSpan], step: SubstringDedup) -> FilterResult:
    """The number of the copies in a document, and a row for each of them."""
    matches = tuple(
        {
            "reason": "copy", "value": copy.count, "threshold": step.minimum_units, "unit": step.unit,
            "at": copy.start, "duplicate_of": copy.first_id,
        }
        for copy in copies
    )  # fmt: skip
    return FilterResult(counts={"copies": len(copies)}, matches=matches)


def _verified_spans(
    repeats: numpy.ndarray, units: list[bytes], minimum: int, first_document_at: Callable[[int], FirstDocument]
) -> Iterator[CopiedSpan]:
    """Yields the passages of a document that truly occurred before.

    Equal hashes are not yet equal texts: each span is walked beside its first occurrence, and where a unit differs it
    is broken; pieces shorter than an n-gram are no copies.

    Args:
        repeats: the document's repeated n-grams, in the order of their places.
        units: of the document.
        minimum: units in an n-gram.
        first_document_at: gives the document with a certain index.
    """
    known: dict[int, FirstDocument] = {}  # the last one only: consecutive spans mostly have the same one
    for start, count, first_document, first_start in _joined(repeats, minimum):
        if first_document not in known:
            known = {first_document: first_document_at(first_document)}
        first_id, first_units = known[first_document]
        same = 0
        # One unit further than the span, where the walk is broken in any case.
        for unit in range(start, start + count + 1):
            if unit < start + count and units[unit] == first_units[first_start + unit - start]:
                same += 1
                continue
            if same >= minimum:
                yield CopiedSpan(unit - same, same, first_document, first_start + unit - same - start, first_id)
            same = 0


def _joined(repeats: numpy.ndarray, length: int) -> Iterator[tuple[int, int, int, int]]:
    """Joins n-grams of which each begins one unit after the one before, both here and in the first occurrence.

    Yields:
        First unit and number of units here, document and first unit of the first occurrence.
    """
    units, documents, firsts = unit_of(repeats["place"]), document_of(repeats["first"]), unit_of(repeats["first"])
    goes_on = numpy.zeros(len(units), bool)
    goes_on[1:] = (numpy.diff(units) == 1) & (numpy.diff(firsts) == 1) & (documents[1:] == documents[:-1])
    starts = numpy.flatnonzero(~goes_on)
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(units)], strict=True):
        yield int(units[begin]), end - begin - 1 + length, int(documents[begin]), int(firsts[begin])


def _cut_out(text: str, units: TextUnits, copies: Sequence[CopiedSpan], index: int) -> tuple[int, str]:
    """Takes copies and the white space after them out of a document's text; returns how many units are left, and it.

    Where a text repeats itself with a short period, as in "tick tock tick tock ...", a copy overlaps its own first
    occurrence. Units of a first occurrence in the same document (`index`) therefore stay, whatever else covers them.
    """
    numbers, spans = units
    gone = numpy.zeros(len(numbers) + 1, bool)
    for copy in copies:
        gone[copy.start : copy.start + copy.count] = True
    for copy in copies:
        if copy.first_document == index:
            gone[copy.first_start : copy.first_start + copy.count] = False
    if not gone.any():
        return len(numbers), text
    content = text.encode()
    parts, written = [], 0
    # Where stretches of units that go begin and end, in turn: each part reaches from one's end to the next one's begin.
    borders = numpy.flatnonzero(numpy.diff(gone.astype(numpy.int8), prepend=0)).tolist()
    for begin, end in zip(borders[::2], borders[1::2], strict=True):
        parts.append(content[written : spans[begin][0]])
        written = int(spans[end][0]) if end < len(spans) else int(spans[end - 1][1])
    parts.append(content[written:])
    # A cut between the bytes of a character leaves its rest behind, which is no text.
    return int(len(numbers) - gone.sum()), b"".join(parts).decode(errors="ignore").strip()
