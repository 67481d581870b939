"""The filter that scores documents with trained classifiers and compares the scores with limits."""

from pathlib import Path

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, FilterResult, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.quality.classifier import load_scorer
from pipeline.curation.recipes.steps.classifiers import Classifier


def classifier_filter(step: Classifier) -> DocumentFilter:
    """Writes the probability of each classifier's label to `scores` in the metadata; rejects scores below a limit.

    Raises:
        DataError: when the filter is made, for a classifier that cannot be read or has no such label.
    """
    models = [(model, load_scorer(Path(model.path), model.label)) for model in step.models]

    def apply(document: Document) -> FilterResult:
        scores: dict[str, float] = dict(document.metadata.get("scores", {}))
        checks: list[Check] = []
        for model, score_of in models:
            score = scores[model.name] = score_of([document.text])[0]
            if model.minimum_score is None:
                continue
            if score < model.minimum_score:
                return reject(f"score_{model.name}", score, model.minimum_score)
            checks.append(Check(f"score_{model.name}", score, model.minimum_score))
        document.metadata["scores"] = scores
        return FilterResult(checks=tuple(checks))

    return apply
