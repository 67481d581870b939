"""The rules of C4 (Raffel et al. 2020, section 2.2): takes lines out, and refuses some documents.

Decisions, reasons and the lines left are those of datatrove's C4QualityFilter. Sentences are only counted where the
lines left are too few to decide: a line is one sentence at least.
"""

import re

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, FilterResult, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.filters.sentences import count_sentences
from pipeline.curation.recipes import steps

CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
ENDS = (".", "?", "!", '"', "'")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def c4_filter(step: steps.C4) -> DocumentFilter:
    """Keeps lines that are sentences, and documents with enough of them."""

    def apply(document: Document) -> FilterResult:
        """What the step says."""
        lines = _kept(document.text, step)
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


def _kept(text: str, step: steps.C4) -> list[str] | str:
    """The lines that stay, or the reason to refuse the whole document."""
    # What the text does not have anywhere, no line has.
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
        if step.terminal_punctuation and (not line.endswith(ENDS) or line.endswith("...")):
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
