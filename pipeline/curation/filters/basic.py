"""Rules about a document's language and length."""

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, FilterResult, LimitCheck, check_limits, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes import steps
from pipeline.curation.text.language_id import identify


def language_filter(step: steps.Language) -> DocumentFilter:
    """Keeps some languages, and writes language and score into the metadata."""

    def apply(document: Document) -> FilterResult:
        """What the step says."""
        language, score = identify(document.text)
        least = step.minimum_scores.get(language, step.minimum_score)
        if language not in step.keep:
            return reject(f"language_{language or 'unknown'}", score, least)
        if score < least:
            return reject("language_score", score, least)
        document.metadata |= {"language": language, "language_score": score}
        return FilterResult(checks=(Check("language_score", score, least),))

    return apply


def length_filter(step: steps.Length) -> DocumentFilter:
    """Keeps documents with a number of characters between two bounds."""

    def apply(document: Document) -> FilterResult:
        """What the step says."""
        length = len(document.text)
        measured: list[LimitCheck] = [("too_short", length, ">=", step.minimum_characters)]
        if step.maximum_characters is not None:
            measured.append(("too_long", length, "<=", step.maximum_characters))
        return check_limits(measured)

    return apply
