"""Which web domains the documents of a corpus come from: counted while they are read, for whoever discloses the data.

A document with an address (`url` in its metadata) counts for the registered domain of its host: what is below one of
the public suffixes that come with tldextract, so that `a.example.co.uk` counts for `example.co.uk`. Addresses without
one (numbers, names of one's own network, reserved ones such as `.invalid`) count under the empty name.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from tldextract import TLDExtract

WEB_DOMAINS = "web_domains.jsonl.gz"
"""File of the artifact with `rows`: of every source and registered domain, the documents that stay and their bytes."""
RECENT_HOSTS = 1_000_000
"""Hosts whose domain is remembered while documents are read."""


@dataclass(frozen=True)
class WebDomains:
    """Documents and bytes of UTF-8 text by source and registered domain."""

    documents: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, source: str, metadata: Mapping[str, Any], length: int) -> None:
        """Counts one document of so many bytes, if it has an address."""
        url = metadata.get("url")
        if isinstance(url, str) and url:
            key = source, registered_domain(url)
            self.documents[key] += 1
            self.bytes[key] += length

    def rows(self) -> list[dict[str, Any]]:
        """`source`, `domain`, `documents` and `bytes` of each, ordered by the first two."""
        return [
            {"source": source, "domain": domain, "documents": self.documents[source, domain], "bytes": size}
            for (source, domain), size in sorted(self.bytes.items())
        ]


def registered_domain(url: str) -> str:
    """The registered domain of an address in lower case; empty if it has none."""
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname
    except ValueError:
        return ""
    return _registered(host) if host else ""


@lru_cache(RECENT_HOSTS)
def _registered(host: str) -> str:
    return _extractor()(host).top_domain_under_public_suffix


@lru_cache(1)
def _extractor() -> TLDExtract:
    # The list of suffixes that is inside the package: nothing is fetched.
    return TLDExtract(suffix_list_urls=(), cache_dir=None)
