"""The rules of the Granite Code models for source files (arXiv 2405.04324, Granite 3.0 report 3.1)."""

from datatrove.data import Document

from pipeline.curation import recipe_steps as steps
from pipeline.curation.rules.rule import Check, Judgement, Rule, refuse


def code_rule(step: steps.CodeRules) -> Rule:
    """Keeps source files that are code."""

    def rule(document: Document) -> Judgement:
        """What the step says."""
        text = document.text
        share = round(sum(map(str.isalpha, text)) / len(text), 4)
        if share < step.minimum_alphabetic:
            return refuse("few_letters", share, step.minimum_alphabetic)
        if "<?xml version=" in text[: step.xml_prefix_characters]:
            return refuse("xml")
        if document.metadata["origin"].endswith(step.data_suffixes):
            if len(text) < step.minimum_data_characters:
                return refuse("data_too_short", len(text), step.minimum_data_characters)
            if len(text) > step.maximum_data_characters:
                return refuse("data_too_long", len(text), step.maximum_data_characters)
        return Judgement(checks=(Check("few_letters", share, step.minimum_alphabetic),))

    return rule
