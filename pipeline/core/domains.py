"""Names of data domains. A recipe gives its domain any name; what is here is what all that use one agree on."""

import re
from collections.abc import Iterable

PUBLISHED = (
    "common_crawl", "common_crawl_hq", "code", "math", "technical", "multilingual", "domain", "synthetic",
    "long_cot", "language_instructions", "code_instructions", "books", "code_repositories",
)  # fmt: skip
"""The thirteen domains of the published recipe."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""A name that a folder, a metric and a key of an override can have."""
RESERVED = ("mean", "near", "far")
"""Names of other losses that are reported beside those of domains."""


def check_name(domain: str) -> None:
    """Makes sure that a domain can have a name.

    Raises:
        ValueError: for one that is no name of a folder and of a metric, or that a metric has already.
    """
    if not NAME.fullmatch(domain):
        raise ValueError(f"{domain!r}: a domain's name has letters, digits, '_' and '-', and begins with a letter")
    if domain in RESERVED:
        raise ValueError(f"{domain!r} is what another metric is called, name the domain otherwise")


def in_order(domains: Iterable[str]) -> list[str]:
    """Each domain once: those of the published recipe in its order, then all others by name."""
    names = set(domains)
    return [*(each for each in PUBLISHED if each in names), *sorted(names.difference(PUBLISHED))]
