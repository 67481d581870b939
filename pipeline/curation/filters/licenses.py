"""The filter on licenses: SPDX expressions in metadata and in the first lines of a text, and known license notices."""

import re
from collections.abc import Iterator

from datatrove.data import Document

from pipeline.curation.audit.filter_result import KEEP, FilterResult, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.licenses import Licenses
from pipeline.curation.text.license_notices import NOTICES, noticed_licenses

_SPDX_LINE = re.compile(r"SPDX-License-Identifier:[ \t]{0,8}([A-Za-z0-9.+() \t-]{1,200})")
"""A license tag in a source file (SPDX specification, annex on short-form identifiers)."""
_TOKEN = re.compile(r"[()]|[A-Za-z0-9]+(?:[.:-]+[A-Za-z0-9]+)*\+?")
UNKNOWN = frozenset({"", "noassertion", "none", "unknown", "other", "null", "n/a"})
"""Values that name no license: SPDX's NOASSERTION and NONE, and words that datasets use for it."""
COMMON_NAMES = {
    "apache 2.0": "Apache-2.0", "apache 2": "Apache-2.0", "apache license 2.0": "Apache-2.0", "mit license": "MIT",
    "the mit license": "MIT", "bsd": "BSD-3-Clause", "new bsd license": "BSD-3-Clause", "bsd license": "BSD-3-Clause",
    "gpl": "GPL-2.0-or-later", "gplv2": "GPL-2.0-only", "gplv3": "GPL-3.0-only", "lgpl": "LGPL-2.1-or-later",
    "isc license": "ISC", "public domain": "CC0-1.0", "psf": "PSF-2.0", "cc-by": "CC-BY-4.0", "cc0": "CC0-1.0",
}  # fmt: skip
"""Names that are in use though they are no SPDX identifiers, and what they stand for."""


def license_filter(step: Licenses) -> DocumentFilter:
    """Keeps documents all of whose licenses are allowed, and writes these to `licences_found` in the metadata."""
    allowed = frozenset(identifier.lower() for identifier in step.allow)
    known = {identifier.lower(): identifier for identifier in (*step.allow, *(name for name, _ in NOTICES))}

    def apply(document: Document) -> FilterResult:
        named = list(dict.fromkeys(_named_licenses(document, step)))
        for expression in named:
            if not allows(expression, allowed):
                # Reasons come from a fixed list, so that texts cannot fill the report with names of their own.
                return reject(f"licence_{known.get(expression.lower(), 'other')}")
        if not named and not step.keep_unknown:
            return reject("licence_unknown")
        if named:
            document.metadata["licences_found"] = named
        return KEEP

    return apply


def _named_licenses(document: Document, step: Licenses) -> Iterator[str]:
    """SPDX expressions that metadata, license tags and license notices name for a document."""
    for key in step.metadata_keys:
        value = document.metadata.get(key)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and each.strip().lower() not in UNKNOWN:
                yield COMMON_NAMES.get(each.strip().lower(), each.strip())
    beginning = document.text[: step.header_characters]
    for match in _SPDX_LINE.finditer(beginning):
        if match.group(1).strip().lower() not in UNKNOWN:
            yield match.group(1).strip(" \t-")
    yield from noticed_licenses(beginning)


def allows(expression: str, allowed: frozenset[str]) -> bool:
    """Whether an SPDX expression can be met with allowed licenses (SPDX specification, license expressions).

    `OR` leaves a choice, `AND` binds closer, and an exception after `WITH` only adds permissions.

    Args:
        expression: what is read of it ends after 1,000 characters; an invalid expression is not allowed.
        allowed: SPDX identifiers in lower case.
    """
    tokens = _TOKEN.findall(expression[:1_000])[::-1]
    try:
        return _parse_or(tokens, allowed, 0) and not tokens
    except (IndexError, ValueError):
        return False


MAXIMUM_NESTING = 20
"""Brackets inside brackets; an expression with more is invalid. It bounds the recursion."""


def _parse_or(tokens: list[str], allowed: frozenset[str], depth: int) -> bool:
    met = _parse_and(tokens, allowed, depth)
    while tokens and tokens[-1].upper() == "OR":
        tokens.pop()
        met = _parse_and(tokens, allowed, depth) or met
    return met


def _parse_and(tokens: list[str], allowed: frozenset[str], depth: int) -> bool:
    met = _parse_license(tokens, allowed, depth)
    while tokens and tokens[-1].upper() == "AND":
        tokens.pop()
        met = _parse_license(tokens, allowed, depth) and met
    return met


def _parse_license(tokens: list[str], allowed: frozenset[str], depth: int) -> bool:
    token = tokens.pop()
    if depth > MAXIMUM_NESTING or token == ")" or token.upper() in ("AND", "OR", "WITH"):
        raise ValueError(token)
    if token == "(":
        met = _parse_or(tokens, allowed, depth + 1)
        if tokens.pop() != ")":
            raise ValueError("a bracket is not closed")
        return met
    if tokens and tokens[-1].upper() == "WITH":
        tokens.pop()
        tokens.pop()
    return token.lower().removesuffix("+") in allowed
