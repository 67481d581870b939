"""RefinedWeb's line rules: what is left of a page after extraction that no one reads (arXiv 2306.01116, G.2)."""

import re

from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult, check_limits, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes import steps

COUNTER = re.compile(
    r"\W*\d[\d.,]*\s?[kmb]?\s+(?:likes?|shares?|comments?|retweets?|reposts?|quotes?|bookmarks?|upvotes?|downvotes?"
    r"|downloads?|views?|followers?)\W*",
    re.IGNORECASE,
)
"""A line that only counts, such as "3 likes"."""
BEGINS = ("sign-in", "sign in")
ENDS = ("read more...", "read more…")
CONTAINS = ("items in cart", "item in cart")


def refinedweb_filter(step: steps.RefinedWebLines) -> DocumentFilter:
    """Takes out lines, and refuses documents that lose much."""

    def apply(document: Document) -> FilterResult:
        """What the step says."""
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


def _is_no_text(line: str, words: int, step: steps.RefinedWebLines) -> bool:
    if words < step.minimum_words or sum(map(str.isupper, line)) > step.maximum_uppercase * len(line):
        return True
    if all(map(str.isdigit, line.replace(" ", ""))) or COUNTER.fullmatch(line):
        return True
    lower = line.lower()
    phrase = lower.startswith(BEGINS) or lower.endswith(ENDS) or any(each in lower for each in CONTAINS)
    return phrase and words <= step.phrase_words
