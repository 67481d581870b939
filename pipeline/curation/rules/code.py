"""The rules of the Granite Code models for source files (arXiv 2405.04324, Granite 3.0 report 3.1)."""

import lxml.etree
import lxml.html
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
        if document.metadata["origin"].endswith(step.page_suffixes):
            visible = visible_characters(text)
            if visible < step.minimum_visible_characters:
                return refuse("page_shows_little", visible, step.minimum_visible_characters)
            if visible / len(text) < step.minimum_visible_share:
                return refuse("page_is_markup", visible / len(text), step.minimum_visible_share)
        return Judgement(checks=(Check("few_letters", share, step.minimum_alphabetic),))

    return rule


def visible_characters(page: str) -> int:
    """Characters of a page that a reader sees, white space as single spaces; 0 for what is no page."""
    try:
        parser = lxml.html.HTMLParser(encoding="utf-8")
        root = lxml.html.document_fromstring(page.encode("utf-8", "replace"), parser=parser)
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError):
        return 0
    for element in list(root.iter("script", "style", "template", "noscript", "head")):
        element.drop_tree()
    return len(" ".join(root.text_content().split()))
