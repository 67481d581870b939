"""A high-quality subset: the share of a domain's documents that a classifier gives the highest scores.

The domain is read twice, once for the scores and once for the documents. In between only scores are in memory, four
bytes each, and four more while the threshold is found, besides the samples to train on.
"""

import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.core.errors import DataError
from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.readers.sources import DomainSource
from pipeline.curation.recipes.steps.classifiers import QualityClassifier
from pipeline.curation.tasks.workspace import READ, DomainWorkspace, write_domain
from pipeline.curation.text import documents

HIGH, WEB = "high", "web"
"""Labels of the two classes: examples of high quality, and the domain scored."""
BATCH = 64
SCORE_SCALE = 1_000_000
"""Scores are held as whole millionths, which is what they are rounded to."""


@dataclass(frozen=True)
class SelectHighQuality:
    """Trains the classifier of a recipe, scores the domain it reads, and keeps the best documents."""

    workspace: DomainWorkspace
    output: Path
    """The stage's artifact, where the domain it reads and the domains of examples are finished."""
    documents_per_file: int

    def __call__(self, progress: TaskProgress) -> None:
        """Writes the domain, the classifier with its card to `classifiers/<domain>`, and the funnel to the workspace.

        Raises:
            DataError: if there is nothing to learn from.
        """
        recipe = self.workspace.recipe
        source, step = recipe.sources[0], recipe.steps[0]
        assert isinstance(source, DomainSource)
        assert isinstance(step, QualityClassifier)
        # A killed attempt may have left files that were not whole under names of its own.
        for kind in ("classifiers", "documents", "removed"):
            shutil.rmtree(self.output / kind / recipe.domain, ignore_errors=True)
        audit = self.workspace.new_audit_log()
        scores = self._scores(source, step, audit, progress)
        kept = select_best(self._documents(source.domain), scores, step.keep_share, step.step, audit)
        write_domain(self.output, recipe, kept, audit, self.documents_per_file)
        write_json(self.workspace.funnel, audit.funnel())
        progress.unit_done()

    def _documents(self, domain: str) -> Iterator[Document]:
        return documents.read_folder(self.output / "documents" / domain)

    def _scores(
        self, source: DomainSource, step: QualityClassifier, audit: AuditLog, progress: TaskProgress
    ) -> Sequence[int]:
        """Trains the classifier and gives the score of every document of the source, in order, in millionths."""
        from pipeline.curation.quality.model_card import Example
        from pipeline.curation.quality.torch_training import train_and_save

        domain = self.workspace.recipe.domain

        def sample(name: str, label: str, count: int) -> list[Example]:
            # Documents are in the order of hashes of their content: the first of them are a random sample.
            first = islice(self._documents(name), count)
            return [Example(str(each.id), each.text[: step.document_characters], label) for each in first]

        share = step.training_documents // len(step.positives)
        high = [example for name in step.positives for example in sample(name, HIGH, share)]
        web = sample(source.domain, WEB, step.training_documents)
        if not high or not web:
            raise DataError(
                f"{domain}: nothing to learn from: {len(high)} documents in {step.positives}, "
                f"{len(web)} to score; loosen the filters of their recipes"
            )
        model = train_and_save([*high, *web], (WEB, HIGH), HIGH, step, self.output / "classifiers" / domain)
        scores = array("I")
        stream = self._documents(source.domain)
        while batch := list(islice(stream, BATCH)):
            for document, score in zip(batch, model.scores([each.text for each in batch], HIGH), strict=True):
                audit.keep(READ, len(document.text), len(document.text))
                scores.append(round(score * SCORE_SCALE))
                progress.document_done()
        return scores


def select_best(
    candidates: Iterable[Document], scores: Sequence[int], share: float, step: str, audit: AuditLog
) -> Iterator[Document]:
    """Yields the share of documents with the highest scores, in their order; of equal scores, those that come first.

    Args:
        candidates: documents, in the order of their ids.
        scores: of each document, in millionths.
        share: of the documents, above 0 and at most 1; at least one document is kept.
        step: name of the step in the audit log.
        audit: takes down what is kept and removed.
    """
    if not len(scores):
        return
    count = max(1, round(share * len(scores)))
    values = numpy.asarray(scores, dtype=numpy.uint32)
    threshold = int(numpy.partition(values, len(values) - count)[len(values) - count])
    equal = count - int((values > threshold).sum())
    for document, score in zip(candidates, scores, strict=True):
        if score > threshold or (score == threshold and equal > 0):
            equal -= score == threshold
            audit.keep(step, len(document.text), len(document.text))
            document.metadata["quality"] = score / SCORE_SCALE
            yield document
        else:
            removal = Removal(reason="low_score", value=score / SCORE_SCALE, threshold=threshold / SCORE_SCALE)
            audit.remove(step, document, removal)
