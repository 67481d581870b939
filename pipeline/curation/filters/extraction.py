"""Extracts text from pages with trafilatura or resiliparse, in a child process that may hang or die without harm."""

from collections.abc import Iterable, Iterator

from datatrove.data import Document
from datatrove.pipeline import extractors
from datatrove.pipeline.extractors.base import BaseExtractor, ExtractorSandbox

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.filters import load_implementation
from pipeline.curation.readers.bad_records import ReadDocument
from pipeline.curation.recipes.steps.pages import Extractor, Resiliparse, Trafilatura


class ResiliparseExtractor(BaseExtractor):
    """resiliparse as an extractor of datatrove; carries out the step `resiliparse`."""

    name = "Resiliparse"

    def __init__(self, step: Resiliparse) -> None:
        super().__init__(step.timeout_seconds)
        self.step = step

    def extract(self, text: str) -> str:
        """Gives the text of a page's HTML, as the step's settings say."""
        from resiliparse.extract.html2text import extract_plain_text

        return extract_plain_text(
            text,
            main_content=self.step.main_content,
            comments=self.step.comments,
            links=self.step.links,
            alt_texts=self.step.alternative_texts,
        )


def trafilatura_extractor(step: Trafilatura) -> BaseExtractor:
    """datatrove's extractor for the step `trafilatura`.

    trafilatura's own `deduplicate` is off: it remembers earlier pages, so that the text of a page would depend on which
    task reads it.
    """
    return extractors.Trafilatura(
        favour_precision=step.favor_precision, timeout=step.timeout_seconds, deduplicate=False
    )


def extractor_of(step: Extractor) -> BaseExtractor:
    """The datatrove extractor that a step names as its implementation."""
    extractor: BaseExtractor = load_implementation(type(step))(step)
    return extractor


class Extraction:
    """Runs an extractor over a stream of pages, and writes down every page that gives no text.

    What is text already, from another source of the recipe, passes as it is.
    """

    def __init__(self, step: Extractor, audit: AuditLog) -> None:
        self.step = step
        self.extractor = extractor_of(step)
        self.audit = audit

    def run(self, data: Iterable[Document]) -> Iterator[Document]:
        """Yields the documents whose page has text, with that text in place of the HTML."""
        with ExtractorSandbox(timeout=self.extractor.timeout) as sandbox:
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
        if isinstance(document, ReadDocument) and document.rejected is not None:
            return Removal(reason=document.rejected)
        if isinstance(document, ReadDocument) and document.is_text:
            return None
        try:
            text = sandbox.process_document(document.text, self.extractor.extract)
        except TimeoutError:
            return Removal(reason="timeout", threshold=self.extractor.timeout)
        except EOFError:
            # The page made the parser raise, run out of memory, or crash.
            return Removal(reason="extractor_died")
        if not text or not text.strip():
            return Removal(reason="no_text")
        document.text = text
        document.metadata["extractor"] = self.step.step
        return None
