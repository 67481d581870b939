"""Gopher's repetition filter: repeated lines, paragraphs and n-grams (Rae et al. 2021, arXiv 2112.11446, table A1).

Decisions and reasons are those of datatrove's GopherRepetitionFilter, with one difference: for duplicated n-grams it
joins words without a space, so that "a bc" repeats "ab c"; here n-grams are compared word by word.
"""

from collections.abc import Iterator

from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult, LimitCheck, check_limits, reject
from pipeline.curation.filters.features import Features, RepeatedNGrams, duplicates, features
from pipeline.curation.filters.filter_step import DocumentFilter, per_language
from pipeline.curation.recipes.steps.text import GopherRepetition

TOP_N_GRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
"""n to the largest share of characters in the most frequent n-gram (table A1)."""
DUPLICATE_N_GRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""n to the largest share of characters in repeated n-grams (table A1)."""


def gopher_repetition_filter(step: GopherRepetition) -> DocumentFilter:
    """Rejects texts that repeat themselves, by the settings of a document's language."""
    return per_language(step, _filter)


def _filter(step: GopherRepetition) -> DocumentFilter:
    def apply(document: Document) -> FilterResult:
        if not document.text:
            return reject("empty")
        return check_limits(_measured(features(document.text, step.language), step))

    return apply


def _measured(found: Features, step: GopherRepetition) -> Iterator[LimitCheck]:
    length = len(found.text)
    count, characters = duplicates(found.paragraphs)
    yield "dup_para_frac", count / len(found.paragraphs), "<=", step.duplicate_paragraphs
    yield "dup_para_char_frac", characters / length, "<=", step.duplicate_paragraph_characters
    count, characters = duplicates(found.lines)
    yield "dup_line_frac", count / len(found.lines), "<=", step.duplicate_lines
    yield "dup_line_char_frac", characters / length, "<=", step.duplicate_line_characters
    repeated = RepeatedNGrams(found)
    for n, limit in sorted((step.top_n_grams or TOP_N_GRAMS).items()):
        repeated.advance(n)
        yield f"top_{n}_gram", repeated.top() / length, "<=", limit
    limits = sorted((step.duplicate_n_grams or DUPLICATE_N_GRAMS).items())
    repeated = repeated if not limits or limits[0][0] >= repeated.n else RepeatedNGrams(found)
    for n, limit in limits:
        repeated.advance(n)
        # An upper bound far below every limit: the exact share cannot fail, nor can that of a larger n.
        if repeated.covered() / length <= min(limit for _, limit in limits) / 2:
            return
        yield f"duplicated_{n}_n_grams", repeated.duplicated() / length, "<=", limit
