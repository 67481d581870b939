"""The first task of curation: reads a part of a domain and applies the steps that look at one document."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from datatrove.data import Document

from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.executors.parallel import TaskProgress
from pipeline.curation.filters import filter_of
from pipeline.curation.filters.extraction import Extraction
from pipeline.curation.filters.filter_step import FilterStep
from pipeline.curation.readers import readers
from pipeline.curation.readers.bad_records import REJECTED_KEY, pop_location, quarantine_row
from pipeline.curation.recipes.steps.pages import Extractor
from pipeline.curation.tasks.workspace import READ, DomainWorkspace
from pipeline.curation.text import documents

EMPTY = "empty"


@dataclass(frozen=True)
class ReadAndFilter:
    """Reads every n-th unit of a domain's sources and applies the steps that look at one document."""

    workspace: DomainWorkspace
    task: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the part and what was counted."""
        audit = self.workspace.new_audit()
        stream: Iterator[Document] = self._read(audit, progress)
        for step in self.workspace.recipe.steps:
            if isinstance(step, Extractor):
                stream = self._checked(Extraction(step, audit).run(stream), step.step, audit)
            elif step.scope != "domain":
                stream = FilterStep(step.step, filter_of(step), audit).run(stream)
        collected = sorted(stream, key=documents.order)
        documents.write_documents(self.workspace.part(self.task), collected)
        write_json(self.workspace.audit(f"collect-{self.task:05d}"), audit.as_json())

    def _read(self, audit: AuditLog, progress: TaskProgress) -> Iterator[Document]:
        for source in self.workspace.recipe.sources:
            names = readers.list_items(source)[self.task :: self.workspace.tasks]
            for document in readers.read(source, names, progress.unit_done):
                progress.document_done()
                place, reason = pop_location(document)
                reason = reason or _unfit(document)
                document.text = document.text if reason is None else document.text.encode(errors="replace").decode()
                document.id = documents.content_id(document.text)
                if reason is None:
                    audit.keep(READ, len(document.text), len(document.text))
                    yield document
                    continue
                audit.remove(READ, document, Removal(reason=reason))
                if reason != EMPTY:
                    row = quarantine_row(place, document.metadata["origin"], reason, document.text)
                    audit.quarantined.append(row)

    @staticmethod
    def _checked(stream: Iterable[Document], step: str, audit: AuditLog) -> Iterator[Document]:
        for document in stream:
            document.id = documents.content_id(document.text)
            yield document


def _unfit(document: Document) -> str | None:
    """Why something is no text at all."""
    if "\0" in document.text:
        return "nul_character"
    try:
        document.text.encode()
    except UnicodeEncodeError:
        return "invalid_unicode"
    if not document.text.strip() and REJECTED_KEY not in document.metadata:
        return EMPTY
    return None
