"""The first task of curation: reads a part of a domain and applies the steps that look at one document."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from datatrove.data import Document

from pipeline.core.files import write_json
from pipeline.curation.audit.judgement import Removal
from pipeline.curation.audit.ledger import Ledger
from pipeline.curation.executors.parallel import Counter
from pipeline.curation.filters import rule_of
from pipeline.curation.filters.extraction import Extraction
from pipeline.curation.filters.recorded import Recorded
from pipeline.curation.readers import readers
from pipeline.curation.readers.bad_records import picked_up, quarantine_row
from pipeline.curation.recipes.steps import EXTRACTORS
from pipeline.curation.tasks.workspace import READ, Workplace
from pipeline.curation.text import documents

EMPTY = "empty"


@dataclass(frozen=True)
class Collect:
    """Reads every n-th unit of a domain's sources and applies the steps that look at one document."""

    workplace: Workplace
    task: int

    def __call__(self, counter: Counter) -> None:
        """Writes the part and what was counted."""
        ledger = self.workplace.new_ledger()
        stream: Iterator[Document] = self._read(ledger, counter)
        for step in self.workplace.recipe.steps:
            if isinstance(step, EXTRACTORS):
                stream = self._checked(Extraction(step, ledger).run(stream), step.step, ledger)
            elif step.scope != "domain":
                stream = Recorded(step.step, rule_of(step), ledger).run(stream)
        collected = sorted(stream, key=documents.order)
        documents.write_documents(self.workplace.part(self.task), collected)
        write_json(self.workplace.ledger(f"collect-{self.task:05d}"), ledger.as_json())

    def _read(self, ledger: Ledger, counter: Counter) -> Iterator[Document]:
        for source in self.workplace.recipe.sources:
            names = readers.units(source)[self.task :: self.workplace.tasks]
            for document in readers.read(source, names, counter.unit):
                counter.document()
                place, reason = picked_up(document)
                reason = reason or _unfit(document)
                document.text = document.text if reason is None else document.text.encode(errors="replace").decode()
                document.id = documents.content_id(document.text)
                if reason is None:
                    ledger.keep(READ, len(document.text), len(document.text))
                    yield document
                    continue
                ledger.remove(READ, document, Removal(reason=reason))
                if reason != EMPTY:
                    row = quarantine_row(place, document.metadata["origin"], reason, document.text)
                    ledger.quarantined.append(row)

    @staticmethod
    def _checked(stream: Iterable[Document], step: str, ledger: Ledger) -> Iterator[Document]:
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
    if not document.text.strip() and "refused" not in document.metadata:
        return EMPTY
    return None
