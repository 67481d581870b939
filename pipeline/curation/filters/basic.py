"""Rules about a document's language and length."""

from datatrove.data import Document

from pipeline.curation.audit.judgement import Check, Judgement, Measured, judge, refuse
from pipeline.curation.filters.rule import Rule
from pipeline.curation.recipes import steps
from pipeline.curation.text.language_id import identify


def language_rule(step: steps.Language) -> Rule:
    """Keeps some languages, and writes language and score into the metadata."""

    def rule(document: Document) -> Judgement:
        """What the step says."""
        language, score = identify(document.text)
        least = step.minimum_scores.get(language, step.minimum_score)
        if language not in step.keep:
            return refuse(f"language_{language or 'unknown'}", score, least)
        if score < least:
            return refuse("language_score", score, least)
        document.metadata |= {"language": language, "language_score": score}
        return Judgement(checks=(Check("language_score", score, least),))

    return rule


def length_rule(step: steps.Length) -> Rule:
    """Keeps documents with a number of characters between two bounds."""

    def rule(document: Document) -> Judgement:
        """What the step says."""
        length = len(document.text)
        measured: list[Measured] = [("too_short", length, ">=", step.minimum_characters)]
        if step.maximum_characters is not None:
            measured.append(("too_long", length, "<=", step.maximum_characters))
        return judge(measured)

    return rule
