"""mC4's rule: enough long lines (Xue et al. 2021, arXiv 2010.11934, section 3.1)."""

from datatrove.data import Document

from pipeline.curation.audit.judgement import Judgement, judge
from pipeline.curation.filters.rule import Rule
from pipeline.curation.recipes import steps


def mc4_rule(step: steps.MC4Paragraphs) -> Rule:
    """Keeps documents with enough long lines; decisions are those of datatrove's C4ParagraphFilter."""

    def rule(document: Document) -> Judgement:
        """What the step says."""
        long = sum(len(line) >= step.minimum_characters for line in document.text.split("\n"))
        return judge([("too_few_paragraphs", long, ">=", step.minimum_lines)])

    return rule
