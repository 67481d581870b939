"""The type of a document filter, and the pipeline step that runs one and records what it does."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import FilterResult
from pipeline.curation.recipes.steps.base import PerLanguage
from pipeline.curation.text.documents import content_id

DocumentFilter = Callable[[Document], FilterResult]
"""A pure function of a document's text and metadata that says whether it is kept. It may edit that document only."""

StepT = TypeVar("StepT", bound=PerLanguage)


def per_language(step: StepT, make: Callable[[StepT], DocumentFilter]) -> DocumentFilter:
    """A filter that holds each document to the settings of its language, which the step `language` found."""
    of_language = {language: make(step.for_language(language)) for language in step.by_language}
    general = make(step)
    return lambda document: of_language.get(document.metadata.get("language", ""), general)(document)


class FilterStep(PipelineStep):
    """Applies a document filter to a stream, and records what happens to every document in the audit."""

    type = "FILTER"

    def __init__(self, name: str, document_filter: DocumentFilter, audit: AuditLog) -> None:
        super().__init__()
        self.name = name
        self.filter = document_filter
        self.audit = audit

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yields the documents that the filter keeps, with a new id where it edited the text.

        A rejected document gets its original text back first, for the audit.
        """
        for document in data:
            before = document.text
            result = self.filter(document)
            self.audit.note_findings(self.name, document, result)
            if result.removal is not None:
                document.text = before
                self.audit.remove(self.name, document, result.removal)
                continue
            edited = document.text != before
            if edited:
                document.id = content_id(document.text)
            self.audit.keep(self.name, len(before), len(document.text), edited)
            self.audit.examples.keep(self.name, document, result.checks)
            yield document
