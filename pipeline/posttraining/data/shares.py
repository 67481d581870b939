"""Keeps of each domain as many records as its share of the stage's samples, those with the smallest ids.

Ids are hashes of the content: the smallest are a random sample, and a larger share is a superset of a smaller one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import numpy
from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.text import documents
from pipeline.posttraining.data.workspace import SHARE, Workspace, move_rows

PLACES = 2**64
"""As many as the leading 64 bits of an id distinguish."""


def within_shares(
    stream: Iterable[Document], wanted: dict[str, int], workspace: Workspace, audit: AuditLog
) -> Iterator[Document]:
    """The records that stay, in their order.

    Args:
        stream: the records. They are written to a file before the first comes back, if any domain has a limit.
        wanted: most records of a domain, for each that has a limit.
        workspace: where the file lies.
        audit: takes down what is kept and removed.

    Memory: 8 bytes for each record of a domain with a limit.
    """
    if not wanted:
        for document in stream:
            audit.keep(SHARE, len(document.text), len(document.text))
            yield document
        return
    places = {domain: array("Q") for domain in wanted}

    def noted() -> Iterator[Document]:
        for document in stream:
            if (domain := _domain(document)) in places:
                places[domain].append(_place(document))
            yield document

    spool = workspace.folder / "spool.jsonl.gz"
    documents.write_documents(spool, noted())
    last = {
        domain: int(numpy.sort(numpy.frombuffer(each, numpy.uint64))[wanted[domain] - 1])
        for domain, each in places.items()
        if len(each) > wanted[domain] > 0
    }
    log = workspace.log("removed", "write-share")
    log.unlink(missing_ok=True)
    for document in documents.read_documents(spool):
        domain, place = _domain(document), _place(document)
        limit = -1 if wanted.get(domain) == 0 else last.get(domain, PLACES)
        if place <= limit:
            audit.keep(SHARE, len(document.text), len(document.text))
            yield document
            continue
        removal = Removal(reason=f"share_of_{domain}", value=place / PLACES, threshold=max(limit, 0) / PLACES)
        audit.remove(SHARE, document, removal)
        move_rows(audit, log)


def _domain(document: Document) -> str:
    return document.metadata["row"].get("domain", "")


def _place(document: Document) -> int:
    return int(str(document.id)[:16], 16)
