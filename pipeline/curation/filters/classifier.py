"""Scores of trained classifiers, written down and held against limits."""

from pathlib import Path

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, FilterResult, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.quality.classifier import load_scorer
from pipeline.curation.recipes import steps


def classifier_filter(step: steps.Classifier) -> DocumentFilter:
    """Writes P(label) of each classifier to `scores` in the metadata; refuses what is below a limit.

    The rule raises nothing. Making it raises DataError for a classifier that cannot be read or has no such label.
    """
    models = [(model, load_scorer(Path(model.path), model.label)) for model in step.models]

    def apply(document: Document) -> FilterResult:
        """What the step says."""
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
