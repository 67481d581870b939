"""The filter of the Granite Code models for source files (arXiv 2405.04324, Granite 3.0 report 3.1)."""

from collections.abc import Iterator

import lxml.etree
import lxml.html
from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult, LimitCheck, check_limits, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.text import CodeRules


def code_filter(step: CodeRules) -> DocumentFilter:
    """Rejects files that are no code: XML, few letters, data of unusual length, pages with little visible text.

    The file's name is the `origin` in the metadata.
    """

    def apply(document: Document) -> FilterResult:
        if "<?xml version=" in document.text[: step.xml_prefix_characters]:
            return reject("xml")
        return check_limits(_measured(document.text, document.metadata["origin"], step))

    return apply


def _measured(text: str, name: str, step: CodeRules) -> Iterator[LimitCheck]:
    yield "few_letters", sum(map(str.isalpha, text)) / len(text), ">=", step.minimum_alphabetic
    if name.endswith(step.data_suffixes):
        yield "data_too_short", len(text), ">=", step.minimum_data_characters
        yield "data_too_long", len(text), "<=", step.maximum_data_characters
    if name.endswith(step.page_suffixes):
        visible = visible_characters(text)
        yield "page_shows_little", visible, ">=", step.minimum_visible_characters
        yield "page_is_markup", visible / len(text), ">=", step.minimum_visible_share


def visible_characters(page: str) -> int:
    """Characters of an HTML page that a reader sees, runs of white space counted as one; 0 if it does not parse."""
    try:
        parser = lxml.html.HTMLParser(encoding="utf-8")
        root = lxml.html.document_fromstring(page.encode("utf-8", "replace"), parser=parser)
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError):
        return 0
    for element in list(root.iter("script", "style", "template", "noscript", "head")):
        element.drop_tree()
    return len(" ".join(root.text_content().split()))
