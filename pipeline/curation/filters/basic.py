"""Filters of a few lines: encoding, language, number of characters, number of long lines."""

import ftfy
from datatrove.data import Document

from pipeline.curation.audit.filter_result import KEEP, Check, FilterResult, LimitCheck, check_limits, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.text import Language, Length, MC4Paragraphs, RepairEncoding
from pipeline.curation.text.language_id import identify


def encoding_filter(step: RepairEncoding) -> DocumentFilter:
    """Repairs text that was decoded with a wrong encoding, with ftfy; rejects no document."""
    config = ftfy.TextFixerConfig(
        uncurl_quotes=step.uncurl_quotes, unescape_html="auto" if step.unescape_html else False, explain=False
    )

    def apply(document: Document) -> FilterResult:
        document.text = ftfy.fix_text(document.text, config)
        return KEEP

    return apply


def language_filter(step: Language) -> DocumentFilter:
    """Keeps documents in the step's languages, and writes language and probability into the metadata."""

    def apply(document: Document) -> FilterResult:
        language, score = identify(document.text)
        least = step.minimum_scores.get(language, step.minimum_score)
        if language not in step.keep:
            return reject(f"language_{language or 'unknown'}", score, least)
        if score < least:
            return reject("language_score", score, least)
        document.metadata |= {"language": language, "language_score": score}
        return FilterResult(checks=(Check("language_score", score, least),))

    return apply


def length_filter(step: Length) -> DocumentFilter:
    """Keeps documents whose number of characters lies between two bounds, which are allowed values."""

    def apply(document: Document) -> FilterResult:
        length = len(document.text)
        measured: list[LimitCheck] = [("too_short", length, ">=", step.minimum_characters)]
        if step.maximum_characters is not None:
            measured.append(("too_long", length, "<=", step.maximum_characters))
        return check_limits(measured)

    return apply


def mc4_filter(step: MC4Paragraphs) -> DocumentFilter:
    """Keeps documents with enough long lines, as mC4 does (Xue et al. 2021, arXiv 2010.11934, section 3.1).

    Decisions are those of datatrove's C4ParagraphFilter.
    """

    def apply(document: Document) -> FilterResult:
        long = sum(len(line) >= step.minimum_characters for line in document.text.split("\n"))
        return check_limits([("too_few_paragraphs", long, ">=", step.minimum_lines)])

    return apply
