"""mC4's rule: enough long lines (Xue et al. 2021, arXiv 2010.11934, section 3.1)."""

from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult, check_limits
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes import steps


def mc4_filter(step: steps.MC4Paragraphs) -> DocumentFilter:
    """Keeps documents with enough long lines; decisions are those of datatrove's C4ParagraphFilter."""

    def apply(document: Document) -> FilterResult:
        """What the step says."""
        long = sum(len(line) >= step.minimum_characters for line in document.text.split("\n"))
        return check_limits([("too_few_paragraphs", long, ">=", step.minimum_lines)])

    return apply
