"""Text out of pages: trafilatura through datatrove, in a process that may hang or die without harm."""

from collections.abc import Iterator
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.extractors.base import ExtractorSandbox

from pipeline.curation import recipe_steps as steps
from pipeline.curation.ledger import Ledger
from pipeline.curation.rules.rule import Removal


class Extraction(Trafilatura):
    """datatrove's extractor, with a row for every page that gives no text.

    trafilatura's own `deduplicate` is off: it remembers the pages before, so that what a page gives would
    depend on which task it is in.
    """

    def __init__(self, step: steps.Trafilatura, ledger: Ledger) -> None:
        super().__init__(favour_precision=step.favor_precision, timeout=step.timeout_seconds, deduplicate=False)
        self.step = step
        self.ledger = ledger

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """The pages that have text, as that text."""
        with ExtractorSandbox(timeout=self.timeout) as sandbox:
            for document in data:
                page = document.text
                removal = self._extract(sandbox, document)
                if removal is None:
                    self.ledger.keep(self.step.step, len(page), len(document.text))
                    yield document
                else:
                    document.text = page
                    self.ledger.remove(self.step.step, document, removal)

    def _extract(self, sandbox: ExtractorSandbox, document: Document) -> Removal | None:
        if (refused := document.metadata.pop("refused", None)) is not None:
            return Removal(reason=refused)
        try:
            text = sandbox.process_document(document.text, self.extract)
        except TimeoutError:
            return Removal(reason="timeout", threshold=self.timeout)
        except EOFError:
            # The page made the parser raise, run out of memory, or crash.
            return Removal(reason="extractor_died")
        if not text or not text.strip():
            return Removal(reason="no_text")
        document.text = text
        return None
