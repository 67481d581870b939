"""Text that was decoded with a wrong encoding, repaired by ftfy."""

import ftfy
from datatrove.data import Document

from pipeline.curation.audit.judgement import KEEP, Judgement
from pipeline.curation.filters.rule import Rule
from pipeline.curation.recipes import steps


def encoding_rule(step: steps.RepairEncoding) -> Rule:
    """Keeps every document, repaired."""
    config = ftfy.TextFixerConfig(
        uncurl_quotes=step.uncurl_quotes, unescape_html="auto" if step.unescape_html else False, explain=False
    )

    def rule(document: Document) -> Judgement:
        """What the step says."""
        document.text = ftfy.fix_text(document.text, config)
        return KEEP

    return rule
