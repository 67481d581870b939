"""Filters that are datatrove's own, with a step's thresholds."""

from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result

from pipeline.curation import recipe_steps as steps
from pipeline.curation.rules.rule import KEEP, Judgement, Rule, refuse
from pipeline.curation.rules.thresholds import threshold_of
from pipeline.curation.words import make_fast


def datatrove_rule(step: steps.GopherRepetition | steps.GopherQuality | steps.C4 | steps.FineWebQuality) -> Rule:
    """What datatrove's filter says, and which threshold its reason is about."""
    make_fast(step.language)
    datatrove_filter = datatrove_filter_of(step)

    def rule(document: Document) -> Judgement:
        """What the step says."""
        keep, reason = get_filter_result(datatrove_filter.filter(document))
        if not keep:
            return refuse(reason or step.step, threshold=threshold_of(step, reason))
        # C4 can take every line out and keep the document.
        return KEEP if document.text.strip() else refuse("no_lines_left")

    return rule


def datatrove_filter_of(step: steps.Step) -> BaseFilter:
    """datatrove's filter with a step's thresholds."""
    match step:
        case steps.GopherRepetition():
            n_grams: dict[str, Any] = {}
            if step.top_n_grams is not None:
                n_grams["top_n_grams"] = tuple(sorted(step.top_n_grams.items()))
            if step.duplicate_n_grams is not None:
                n_grams["dup_n_grams"] = tuple(sorted(step.duplicate_n_grams.items()))
            return GopherRepetitionFilter(
                dup_line_frac=step.duplicate_lines,
                dup_para_frac=step.duplicate_paragraphs,
                dup_line_char_frac=step.duplicate_line_characters,
                dup_para_char_frac=step.duplicate_paragraph_characters,
                language=step.language,
                **n_grams,
            )
        case steps.GopherQuality():
            return GopherQualityFilter(
                min_doc_words=step.minimum_words,
                max_doc_words=step.maximum_words,
                min_avg_word_length=step.minimum_mean_word_length,
                max_avg_word_length=step.maximum_mean_word_length,
                max_symbol_word_ratio=step.maximum_symbols_per_word,
                max_bullet_lines_ratio=step.maximum_bullet_lines,
                max_ellipsis_lines_ratio=step.maximum_ellipsis_lines,
                max_non_alpha_words_ratio=step.minimum_alphabetic_words,
                min_stop_words=step.minimum_stop_words,
                language=step.language,
            )
        case steps.C4():
            return C4QualityFilter(
                filter_no_terminal_punct=step.terminal_punctuation,
                min_num_sentences=step.minimum_sentences,
                min_words_per_line=step.minimum_words_per_line,
                max_word_length=step.maximum_word_length,
                filter_curly_bracket=step.curly_bracket,
                filter_javascript=step.javascript,
                language=step.language,
            )
        case steps.FineWebQuality():
            return FineWebQualityFilter(
                line_punct_thr=step.minimum_punctuated_lines,
                short_line_thr=step.maximum_short_lines,
                short_line_length=step.short_line_characters,
                char_duplicates_ratio=step.maximum_duplicate_line_characters,
                new_line_ratio=step.maximum_newlines_per_word,
                language=step.language,
            )
    raise AssertionError(f"{step.step} is no filter of documents")
