"""Which of a step's thresholds a reason of datatrove's filters is about."""

import re

from pipeline.curation import recipe_steps as steps

FIELDS: dict[str, str] = {
    "dup_line_frac": "duplicate_lines",
    "dup_para_frac": "duplicate_paragraphs",
    "dup_line_char_frac": "duplicate_line_characters",
    "dup_para_char_frac": "duplicate_paragraph_characters",
    "gopher_short_doc": "minimum_words",
    "gopher_long_doc": "maximum_words",
    "gopher_below_avg_threshold": "minimum_mean_word_length",
    "gopher_above_avg_threshold": "maximum_mean_word_length",
    "gopher_too_many_hashes": "maximum_symbols_per_word",
    "gopher_too_many_ellipsis": "maximum_symbols_per_word",
    "gopher_too_many_bullets": "maximum_bullet_lines",
    "gopher_too_many_end_ellipsis": "maximum_ellipsis_lines",
    "gopher_below_alpha_threshold": "minimum_alphabetic_words",
    "gopher_enough_stop_words": "minimum_stop_words",
    "too_few_sentences": "minimum_sentences",
    "line_punct_ratio": "minimum_punctuated_lines",
    "short_line_ratio": "maximum_short_lines",
    "char_dup_ratio": "maximum_duplicate_line_characters",
    "list_ratio": "maximum_newlines_per_word",
}
TOP_N_GRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
DUPLICATE_N_GRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Rae et al. 2021, table A1; datatrove's defaults."""


def threshold_of(step: steps.Step, reason: str | None) -> float | None:
    """The limit behind a reason, or None if there is no number behind it."""
    if reason in FIELDS:
        return float(getattr(step, FIELDS[reason]))
    if isinstance(step, steps.GopherRepetition):
        if match := re.fullmatch(r"top_(\d+)_gram", reason or ""):
            return (step.top_n_grams or TOP_N_GRAMS)[int(match[1])]
        if match := re.fullmatch(r"duplicated_(\d+)_n_grams", reason or ""):
            return (step.duplicate_n_grams or DUPLICATE_N_GRAMS)[int(match[1])]
    return None
