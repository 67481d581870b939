"""The filter of C4 (Raffel et al. 2020, section 2.2): removes lines, and rejects some documents.

Decisions, reasons and the remaining lines are those of datatrove's C4QualityFilter. Sentences are counted only where
the number of remaining lines does not decide: a line has at least one sentence.
"""

import re

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, FilterResult, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.filters.sentences import count_sentences
from pipeline.curation.recipes.steps.text import C4

CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
SENTENCE_ENDS = (".", "?", "!", '"', "'")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def c4_filter(step: C4) -> DocumentFilter:
    """Removes lines that are no sentences, and rejects documents with too few sentences left."""

    def apply(document: Document) -> FilterResult:
        lines = _remaining_lines(document.text, step)
        if isinstance(lines, str):
            return reject(lines)
        checks: tuple[Check, ...] = ()
        if len(lines) < 2 * step.minimum_sentences:
            count = sum(count_sentences(line, step.language) for line in lines)
            if count < step.minimum_sentences:
                return reject("too_few_sentences", count, step.minimum_sentences)
            checks = (Check("too_few_sentences", count, step.minimum_sentences),)
        document.text = "\n".join(lines).strip()
        return FilterResult(checks=checks) if document.text else reject("no_lines_left")

    return apply


def _remaining_lines(text: str, step: C4) -> list[str] | str:
    """The lines that are kept, or the reason to reject the whole document."""
    # What the text does not have anywhere, no line has: most texts are not searched line by line.
    lower = text.lower()
    phrases = [phrase for phrase in POLICIES if phrase in lower]
    if step.javascript and "javascript" in lower:
        phrases.append("javascript")
    lorem_ipsum, citations = "lorem ipsum" in lower, "[" in text
    bracket = step.curly_bracket and "{" in text
    kept = []
    for line in map(str.strip, text.splitlines()):
        words = line.split(None, step.minimum_words_per_line)
        if len(line) > step.maximum_word_length and max(map(len, line.split())) > step.maximum_word_length:
            continue
        if citations:
            line = CITATION.sub("", line)
        if step.terminal_punctuation and (not line.endswith(SENTENCE_ENDS) or line.endswith("...")):
            continue
        if len(words) < step.minimum_words_per_line:
            continue
        if phrases or lorem_ipsum:
            line_lower = line.lower()
            if lorem_ipsum and "lorem ipsum" in line_lower:
                return "lorem_ipsum"
            javascript = phrases and phrases[-1] == "javascript" and "javascript" in line_lower
            if javascript:
                continue
        if bracket and "{" in line:
            return "curly_bracket"
        if phrases and any(phrase in line_lower for phrase in phrases):
            continue
        kept.append(line)
    return kept
