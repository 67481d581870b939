"""A recipe's filters at work: each looks at one document and keeps it, edits it, or says why not."""

from collections.abc import Callable, Iterator
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result

from pipeline.curation import recipe_steps as steps
from pipeline.curation.documents import content_id
from pipeline.curation.language import identify
from pipeline.curation.ledger import Ledger, Removal
from pipeline.curation.thresholds import threshold_of
from pipeline.curation.words import make_fast

Rule = Callable[[Document], Removal | None]


class Recorded(PipelineStep):
    """A rule as a step of a datatrove pipeline that writes down what happens to every document."""

    type = "FILTER"

    def __init__(self, name: str, rule: Rule, ledger: Ledger) -> None:
        super().__init__()
        self.name = name
        self.rule = rule
        self.ledger = ledger

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Those documents that the rule keeps."""
        for document in data:
            before = document.text
            removal = self.rule(document)
            if removal is not None:
                document.text = before
                self.ledger.remove(self.name, document, removal)
                continue
            edited = document.text != before
            if edited:
                document.id = content_id(document.text)
            self.ledger.keep(self.name, len(before), len(document.text), edited)
            yield document


def rule_of(step: steps.Step) -> Rule:
    """What a step of scope `document` does."""
    match step:
        case steps.Language():
            return lambda document: _language(document, step)
        case steps.Length():
            return lambda document: _length(document, step)
        case steps.CodeRules():
            return lambda document: _code(document, step)
        case steps.GopherRepetition() | steps.GopherQuality() | steps.C4() | steps.FineWebQuality():
            make_fast(step.language)
            datatrove_filter = datatrove_filter_of(step)
            return lambda document: _datatrove(document, step, datatrove_filter)
    raise AssertionError(f"{step.step} does not look at one document")


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


def _datatrove(document: Document, step: steps.Step, datatrove_filter: BaseFilter) -> Removal | None:
    keep, reason = get_filter_result(datatrove_filter.filter(document))
    if not keep:
        return Removal(reason=reason or step.step, threshold=threshold_of(step, reason))
    # C4 can take every line out and keep the document.
    return None if document.text.strip() else Removal(reason="no_lines_left")


def _language(document: Document, step: steps.Language) -> Removal | None:
    language, score = identify(document.text)
    if language not in step.keep:
        return Removal(reason=f"language_{language or 'unknown'}", value=score, threshold=step.minimum_score)
    if score < step.minimum_score:
        return Removal(reason="language_score", value=score, threshold=step.minimum_score)
    document.metadata |= {"language": language, "language_score": score}
    return None


def _length(document: Document, step: steps.Length) -> Removal | None:
    length = len(document.text)
    if length < step.minimum_characters:
        return Removal(reason="too_short", value=length, threshold=step.minimum_characters)
    if step.maximum_characters is not None and length > step.maximum_characters:
        return Removal(reason="too_long", value=length, threshold=step.maximum_characters)
    return None


def _code(document: Document, step: steps.CodeRules) -> Removal | None:
    text = document.text
    share = round(sum(map(str.isalpha, text)) / len(text), 4)
    if share < step.minimum_alphabetic:
        return Removal(reason="few_letters", value=share, threshold=step.minimum_alphabetic)
    if "<?xml version=" in text[: step.xml_prefix_characters]:
        return Removal(reason="xml")
    if document.metadata["origin"].endswith(step.data_suffixes):
        if len(text) < step.minimum_data_characters:
            return Removal(reason="data_too_short", value=len(text), threshold=step.minimum_data_characters)
        if len(text) > step.maximum_data_characters:
            return Removal(reason="data_too_long", value=len(text), threshold=step.maximum_data_characters)
    return None
