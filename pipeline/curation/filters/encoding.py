"""Text that was decoded with a wrong encoding, repaired by ftfy."""

import ftfy
from datatrove.data import Document

from pipeline.curation.audit.filter_result import KEEP, FilterResult
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes import steps


def encoding_filter(step: steps.RepairEncoding) -> DocumentFilter:
    """Keeps every document, repaired."""
    config = ftfy.TextFixerConfig(
        uncurl_quotes=step.uncurl_quotes, unescape_html="auto" if step.unescape_html else False, explain=False
    )

    def apply(document: Document) -> FilterResult:
        """What the step says."""
        document.text = ftfy.fix_text(document.text, config)
        return KEEP

    return apply
