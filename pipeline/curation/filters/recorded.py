"""A rule as a step of a datatrove pipeline."""

from collections.abc import Iterator
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pipeline.curation.audit.ledger import Ledger
from pipeline.curation.filters.rule import Rule
from pipeline.curation.text.documents import content_id


class Recorded(PipelineStep):
    """Applies a rule and writes down what happens to every document."""

    type = "FILTER"

    def __init__(self, name: str, rule: Rule, ledger: Ledger) -> None:
        super().__init__()
        self.name = name
        self.rule = rule
        self.ledger = ledger

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Those documents that the rule keeps."""
        for document in data:
            before = document.text
            judgement = self.rule(document)
            self.ledger.find(self.name, document, judgement)
            if judgement.removal is not None:
                document.text = before
                self.ledger.remove(self.name, document, judgement.removal)
                continue
            edited = document.text != before
            if edited:
                document.id = content_id(document.text)
            self.ledger.keep(self.name, len(before), len(document.text), edited)
            self.ledger.examples.keep(self.name, document, judgement.checks)
            yield document
