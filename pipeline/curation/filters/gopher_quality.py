"""Gopher's quality filter: length, symbols, bullets, ellipses, letters, stop words (arXiv 2112.11446, A1.1).

Decisions and reasons are those of datatrove's GopherQualityFilter, with one difference: a text without words or lines,
for which datatrove divides by zero, is rejected as too short.
"""

from collections.abc import Iterator

from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult, LimitCheck, check_limits, reject
from pipeline.curation.filters.features import Features, features
from pipeline.curation.filters.filter_step import DocumentFilter, per_language
from pipeline.curation.recipes.steps.text import GopherQuality

BULLETS = ("•", "-")
ELLIPSES = ("...", "…")


def gopher_quality_filter(step: GopherQuality) -> DocumentFilter:
    """Rejects texts unlike prose, by the settings of a document's language."""
    return per_language(step, _filter)


def _filter(step: GopherQuality) -> DocumentFilter:
    def apply(document: Document) -> FilterResult:
        found = features(document.text, step.language)
        if found.vocabulary.symbols[found.words].all():
            return reject("gopher_short_doc", 0, step.minimum_words)
        return check_limits(_measured(found, step))

    return apply


def _measured(found: Features, step: GopherQuality) -> Iterator[LimitCheck]:
    text, words, known = found.text, found.words, found.vocabulary
    lengths = found.word_lengths[~known.symbols[words]]
    yield "gopher_short_doc", len(lengths), ">=", step.minimum_words
    yield "gopher_long_doc", len(lengths), "<=", step.maximum_words
    mean = float(lengths.mean())
    yield "gopher_below_avg_threshold", mean, ">=", step.minimum_mean_word_length
    yield "gopher_above_avg_threshold", mean, "<=", step.maximum_mean_word_length
    yield "gopher_too_many_hashes", text.count("#") / len(words), "<=", step.maximum_symbols_per_word
    ellipses = sum(map(text.count, ELLIPSES))
    yield "gopher_too_many_ellipsis", ellipses / len(words), "<=", step.maximum_symbols_per_word
    lines = text.splitlines()
    bullets = sum(line.startswith(BULLETS) for line in map(str.lstrip, lines))
    yield "gopher_too_many_bullets", bullets / len(lines), "<=", step.maximum_bullet_lines
    ends = sum(line.endswith(ELLIPSES) for line in map(str.rstrip, lines)) if ellipses else 0
    yield "gopher_too_many_end_ellipsis", ends / len(lines), "<=", step.maximum_ellipsis_lines
    alphabetic = int(known.with_letters[words].sum()) / len(words)
    yield "gopher_below_alpha_threshold", alphabetic, ">=", step.minimum_alphabetic_words
    yield "gopher_enough_stop_words", found.count_present(step.stop_words), ">=", step.minimum_stop_words
