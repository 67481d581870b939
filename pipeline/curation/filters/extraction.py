"""Text out of pages: trafilatura or resiliparse, in a process of datatrove's that may hang or die without harm."""

from collections.abc import Iterable, Iterator

from datatrove.data import Document
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.extractors.base import BaseExtractor, ExtractorSandbox

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.recipes import steps


class ResiliparseExtractor(BaseExtractor):
    """resiliparse as an extractor of datatrove."""

    name = "Resiliparse"

    def __init__(self, step: steps.Resiliparse) -> None:
        super().__init__(step.timeout_seconds)
        self.step = step

    def extract(self, text: str) -> str:
        """The text of a page."""
        from resiliparse.extract.html2text import extract_plain_text

        return extract_plain_text(
            text,
            main_content=self.step.main_content,
            comments=self.step.comments,
            links=self.step.links,
            alt_texts=self.step.alternative_texts,
        )


def extractor_of(step: steps.Trafilatura | steps.Resiliparse) -> BaseExtractor:
    """datatrove's extractor of a step.

    trafilatura's own `deduplicate` is off: it remembers the pages before, so that what a page gives would
    depend on which task it is in.
    """
    if isinstance(step, steps.Resiliparse):
        return ResiliparseExtractor(step)
    return Trafilatura(favour_precision=step.favor_precision, timeout=step.timeout_seconds, deduplicate=False)


class Extraction:
    """An extractor with a row for every page that gives no text."""

    def __init__(self, step: steps.Trafilatura | steps.Resiliparse, audit: AuditLog) -> None:
        self.step = step
        self.extractor = extractor_of(step)
        self.audit = audit

    def run(self, data: Iterable[Document]) -> Iterator[Document]:
        """The pages that have text, as that text."""
        with ExtractorSandbox(timeout=self.step.timeout_seconds) as sandbox:
            for document in data:
                page = document.text
                removal = self._extract(sandbox, document)
                if removal is None:
                    self.audit.keep(self.step.step, len(page), len(document.text))
                    yield document
                else:
                    document.text = page
                    self.audit.remove(self.step.step, document, removal)

    def _extract(self, sandbox: ExtractorSandbox, document: Document) -> Removal | None:
        if (refused := document.metadata.pop("refused", None)) is not None:
            return Removal(reason=refused)
        try:
            text = sandbox.process_document(document.text, self.extractor.extract)
        except TimeoutError:
            return Removal(reason="timeout", threshold=self.step.timeout_seconds)
        except EOFError:
            # The page made the parser raise, run out of memory, or crash.
            return Removal(reason="extractor_died")
        if not text or not text.strip():
            return Removal(reason="no_text")
        document.text = text
        document.metadata["extractor"] = self.step.step
        return None
