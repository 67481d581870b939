"""The first task of curation: reads a part of a domain's sources and applies the steps that look at one document."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.filters import filter_of
from pipeline.curation.filters.extraction import Extraction
from pipeline.curation.filters.filter_step import FilterStep
from pipeline.curation.readers import readers
from pipeline.curation.readers.bad_records import ReadDocument, quarantine_row
from pipeline.curation.readers.sources import Filtered, gives_pages
from pipeline.curation.readers.where import unmet
from pipeline.curation.recipes.steps.pages import Extractor
from pipeline.curation.tasks.ranged_parts import write_part
from pipeline.curation.tasks.workspace import READ, DomainWorkspace
from pipeline.curation.text import documents

AUDIT_LOG = "read_and_filter"
"""Name of these tasks' audit logs, before the number of the task."""
EMPTY = "empty"


@dataclass(frozen=True)
class ReadAndFilter:
    """Reads every n-th file, or whatever a source is divided into, and applies the steps that look at one document.

    A record that is no text (NUL characters, invalid Unicode, or a reason the reader gives) counts as removed by `read`
    and goes into quarantine; an empty one counts and does not, nor does one that the source's `where` leaves out.
    """

    workspace: DomainWorkspace
    task: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the documents that stay in the order of their ids, and an audit log.

        Memory: the documents that stay, until they are sorted.
        """
        audit = self.workspace.new_audit_log()
        stream: Iterator[Document] = self._read(audit, progress)
        for step in self.workspace.recipe.steps:
            if isinstance(step, Extractor):
                stream = self._with_new_ids(Extraction(step, audit).run(stream))
            elif step.scope != "domain":
                stream = FilterStep(step.step, filter_of(step), audit).run(stream)
        chosen = sorted(stream, key=documents.order)
        write_part(self.workspace.filtered_part(self.task), chosen, self.workspace.tasks, self.workspace.shard_of)
        self.workspace.write_audit_log(f"{AUDIT_LOG}-{self.task:05d}", audit)

    def _read(self, audit: AuditLog, progress: TaskProgress) -> Iterator[Document]:
        for source in self.workspace.recipe.sources:
            wanted = source.where if isinstance(source, Filtered) else {}
            is_text = any(isinstance(step, Extractor) for step in self.workspace.recipe.steps) and not gives_pages(
                source
            )
            names = readers.list_items(source)[self.task :: self.workspace.tasks]
            for document in readers.read(source, names, progress.unit_done):
                progress.document_done()
                reason = document.bad or _unfit(document)
                document.text = document.text if reason is None else document.text.encode(errors="replace").decode()
                document.id = documents.content_id(document.text)
                document.is_text = is_text
                left_out = unmet(document.metadata, wanted) if reason is None else None
                if left_out is not None:
                    audit.remove(READ, document, Removal(reason=f"where_{left_out}"))
                    continue
                if reason is None:
                    audit.keep(READ, len(document.text), len(document.text))
                    yield document
                    continue
                audit.remove(READ, document, Removal(reason=reason))
                if reason != EMPTY:
                    row = quarantine_row(document.location, document.metadata["origin"], reason, document.text)
                    audit.quarantined.append(row)

    @staticmethod
    def _with_new_ids(stream: Iterable[Document]) -> Iterator[Document]:
        """Gives documents whose text was extracted from a page the id of that text."""
        for document in stream:
            document.id = documents.content_id(document.text)
            yield document


def _unfit(document: ReadDocument) -> str | None:
    """The reason why a record is no text at all, or None."""
    if "\0" in document.text:
        return "nul_character"
    try:
        document.text.encode()
    except UnicodeEncodeError:
        return "invalid_unicode"
    if not document.text.strip() and document.rejected is None:
        return EMPTY
    return None
