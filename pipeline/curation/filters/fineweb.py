"""FineWeb's filter: line punctuation, short and repeated lines, lists (Penedo et al. 2024, arXiv 2406.17557, 3.6).

Decisions and reasons are those of datatrove's FineWebQualityFilter.
"""

from collections.abc import Iterator

from datatrove.data import Document
from datatrove.utils.text import TERMINAL_PUNCTUATION

from pipeline.curation.audit.filter_result import FilterResult, LimitCheck, check_limits, reject
from pipeline.curation.filters.features import Features, duplicates, features
from pipeline.curation.filters.filter_step import DocumentFilter, per_language
from pipeline.curation.recipes.steps.text import FineWebQuality

PUNCTUATION = frozenset(TERMINAL_PUNCTUATION)


def fineweb_filter(step: FineWebQuality) -> DocumentFilter:
    """Rejects lists and navigation, by the settings of a document's language."""
    return per_language(step, _filter)


def _filter(step: FineWebQuality) -> DocumentFilter:
    def apply(document: Document) -> FilterResult:
        lines = [line for line in document.text.split("\n") if line and not line.isspace()]
        if not lines:
            return reject("empty")
        return check_limits(_measured(features(document.text, step.language), lines, step))

    return apply


def _measured(found: Features, lines: list[str], step: FineWebQuality) -> Iterator[LimitCheck]:
    punctuated = sum(line[-1] in PUNCTUATION for line in lines)
    yield "line_punct_ratio", punctuated / len(lines), ">=", step.minimum_punctuated_lines
    if step.maximum_short_lines is not None:
        short = sum(len(line) <= step.short_line_characters for line in lines)
        yield "short_line_ratio", short / len(lines), "<=", step.maximum_short_lines
    newlines = found.text.count("\n")
    repeated = duplicates(lines)[1] / (len(found.text) - newlines)
    yield "char_dup_ratio", repeated, "<=", step.maximum_duplicate_line_characters
    yield "list_ratio", newlines / max(1, len(found.words)), "<=", step.maximum_newlines_per_word
