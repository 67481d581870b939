"""The filter of the Granite Code models for source files (arXiv 2405.04324, Granite 3.0 report 3.1)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import lxml.etree
import lxml.html
from datatrove.data import Document

from pipeline.curation.audit.filter_result import FilterResult, LimitCheck, check_limits, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.text import CodeRules

HEAD = re.compile(r"(?:<(?:reponame|filename|gh_stars)>[^<\n]*)+\n?")
"""What starcoderdata puts before a file: `<reponame>owner/name<filename>src/a.py<gh_stars>10-100`, or a part of it."""
PATH_IN_HEAD = re.compile(r"<filename>([^<\n]*)")


def code_filter(step: CodeRules) -> DocumentFilter:
    """Rejects files that are no code: XML, few letters, data of unusual length, pages with little visible text.

    A file's path is in the metadata, in starcoderdata's head, or else the `origin` in the metadata. The head goes.
    """

    def apply(document: Document) -> FilterResult:
        head = HEAD.match(document.text)
        if head:
            document.text = document.text[head.end() :]
            if not document.text.strip():
                return reject("empty")
        if "<?xml version=" in document.text[: step.xml_prefix_characters]:
            return reject("xml")
        path = _path(document.metadata, head.group() if head else "", step)
        return check_limits(_measured(document.text, path.lower(), step))

    return apply


def _path(metadata: Mapping[str, Any], head: str, step: CodeRules) -> str:
    named = [value for key in step.path_keys if isinstance(value := metadata.get(key), str) and value]
    named += PATH_IN_HEAD.findall(head)
    return next(iter(named), metadata["origin"])


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
