"""What a filter is, and how one becomes a step of a datatrove pipeline."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import FilterResult
from pipeline.curation.recipes.steps.per_language import PerLanguage
from pipeline.curation.text.documents import content_id

DocumentFilter = Callable[[Document], FilterResult]
"""A pure function of the document's text and metadata; the only thing it may change is that document."""


StepT = TypeVar("StepT", bound=PerLanguage)


def per_language(step: StepT, make: Callable[[StepT], DocumentFilter]) -> DocumentFilter:
    """The rule of a step whose settings depend on the language that the step `language` wrote into the metadata."""
    others = {language: make(step.of(language)) for language in step.by_language}
    general = make(step)
    return lambda document: others.get(document.metadata.get("language", ""), general)(document)


class FilterStep(PipelineStep):
    """Applies a rule and writes down what happens to every document."""

    type = "FILTER"

    def __init__(self, name: str, document_filter: DocumentFilter, audit: AuditLog) -> None:
        super().__init__()
        self.name = name
        self.filter = document_filter
        self.audit = audit

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Those documents that the rule keeps."""
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
