"""RefinedWeb's filter of lines that extraction leaves though nobody reads them (arXiv 2306.01116, G.2)."""

import re

from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult, check_limits, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.text import RefinedWebLines

COUNT_LINE = re.compile(
    r"\W*\d[\d.,]*\s?[kmb]?\s+(?:likes?|shares?|comments?|retweets?|reposts?|quotes?|bookmarks?|upvotes?|downvotes?"
    r"|downloads?|views?|followers?)\W*",
    re.IGNORECASE,
)
"""A line that is nothing but a count, such as "3 likes"."""
PHRASES_AT_START = ("sign-in", "sign in")
PHRASES_AT_END = ("read more...", "read more…")
PHRASES_ANYWHERE = ("items in cart", "item in cart")


def refinedweb_filter(step: RefinedWebLines) -> DocumentFilter:
    """Removes lines that are no text, and rejects documents that lose a large share of their words by it."""

    def apply(document: Document) -> FilterResult:
        kept, removed_words, all_words = [], 0, 0
        for line in document.text.split("\n"):
            words = len(line.split())
            all_words += words
            if words and _is_no_text(line.strip(), words, step):
                removed_words += words
            else:
                kept.append(line)
        if not all_words:
            return reject("empty")
        result = check_limits([("removed_words", removed_words / all_words, "<=", step.maximum_removed_words)])
        if result.removal is None and removed_words:
            document.text = "\n".join(kept)
        return result

    return apply


def _is_no_text(line: str, words: int, step: RefinedWebLines) -> bool:
    if words < step.minimum_words or sum(map(str.isupper, line)) > step.maximum_uppercase * len(line):
        return True
    if all(map(str.isdigit, line.replace(" ", ""))) or COUNT_LINE.fullmatch(line):
        return True
    lower = line.lower()
    at_edge = lower.startswith(PHRASES_AT_START) or lower.endswith(PHRASES_AT_END)
    return (at_edge or any(each in lower for each in PHRASES_ANYWHERE)) and words <= step.phrase_words
