"""The public summary of training content of Article 53(1)(d) of Regulation (EU) 2024/1689, sections 1 to 3.

The sections are those of the European Commission's template of 24 July 2025; the words of the fields are ours and
shorter: whoever publishes the summary copies the answers into the Commission's form. It is no legal advice. An answer
that the run has no record of is "not known".
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.disclosure.config import DiscloseConfig
from pipeline.disclosure.evidence import NOT_KNOWN, Evidence
from pipeline.disclosure.sources import Source, by_category, languages, latest_date, megabytes
from pipeline.release.model_card import markdown_table

TEMPLATE = "European Commission, template for the public summary of training content, 24 July 2025"
SIZES = ((10**9, "less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
"""The template's classes of the size of text: each with the size that it ends before."""
LARGEST_SIZE = "more than 10 trillion tokens"
LARGE_SHARE = 0.03
"""A public data set is listed as a large one if it has more than this share of the size of all public ones."""
DOMAIN_SHARE, SMALL_DOMAIN_SHARE, MOST_OF_SMALL = 0.10, 0.05, 1000
"""Shares of the web domains that are listed, of all providers and of small ones, and the most of these."""
GENERATING_KINDS = ("rl",)
"""Kinds of stages that train on completions of the model itself."""
COUNTING_RULE = (
    "A document with an address counts for the registered domain of its host, by the public suffix list inside "
    "tldextract. A domain's size is that of the text kept of it, in bytes of UTF-8. Domains are ordered by size, then "
    "by name, and the first {share:.0%} of their number are listed, rounded up{most}. Addresses without a registered "
    "domain are left out; documents that another domain of data selected count once."
)
Fields = dict[str, Any]


def eu_summary(evidence: Evidence, config: DiscloseConfig) -> dict[str, Any]:
    """The summary as it goes into JSON: `template`, `version`, `updated`, and `sections`, each a title with its fields.

    A field is a text, a number, or a list of rows.

    Raises:
        ConfigError: if the settings sort a source that does not exist.
    """
    sorted_sources = by_category(evidence, config.categories)
    everything = [each for sources in sorted_sources.values() for each in sources]
    sections: dict[str, tuple[str, Fields]] = {
        "1.1": (
            "Provider",
            {"Name and contact": _said(config.provider), "Representative": _said(config.representative)},
        ),
        "1.2": ("Model", _model(evidence, config)),
        "1.3": ("Modalities and size", _size(evidence, everything)),
        "2.1": ("Publicly available data sets", _public(sorted_sources["public"])),
        "2.2.1": ("Commercially licensed data", _list(sorted_sources["licensed"])),
        "2.2.2": ("Private data sets of third parties", _list(sorted_sources["private"])),
        "2.3": ("Data crawled and scraped from online sources", _crawled(evidence, config, sorted_sources["crawled"])),
        "2.4": ("User data", _list(sorted_sources["user"])),
        "2.5": ("Synthetic data", _synthetic(evidence, sorted_sources["synthetic"])),
        "2.6": ("Other sources", _other(evidence, sorted_sources["other"])),
        "3.1": ("Reservation of rights from text and data mining", {"Measures": _said(config.opt_out)}),
        "3.2": ("Illegal content", _illegal(evidence, config)),
        "3.3": ("Other processing", {"Steps of the audit": _steps(evidence)}),
    }
    return {
        "template": TEMPLATE,
        "version": config.summary_version,
        "updated": _said(config.updated),
        "sections": {number: {"title": title, "fields": fields} for number, (title, fields) in sections.items()},
    }


def as_markdown(summary: Mapping[str, Any]) -> str:
    """The same summary to read."""
    parts = [
        "# Public summary of training content",
        f"After the {summary['template']}. Version {summary['version']}, last update: {summary['updated']}. "
        f"What the run has no record of is {NOT_KNOWN}.",
    ]
    for number, section in summary["sections"].items():
        parts.append(f"## {number} {section['title']}")
        plain = {name: value for name, value in section["fields"].items() if not isinstance(value, list)}
        if plain:
            parts.append("\n".join(f"- **{name}**: {' '.join(str(value).split())}" for name, value in plain.items()))
        for name, value in section["fields"].items():
            if isinstance(value, list):
                parts.append(f"**{name}**" + ("" if value else ": none"))
                if value:
                    parts.append(markdown_table(value[0], [[_shown(cell) for cell in row.values()] for row in value]))
    return "\n\n".join(parts) + "\n"


def listed_domains(web: Mapping[str, tuple[int, int]], small: bool) -> list[tuple[str, int, int]]:
    """The largest web domains with documents and bytes, as `COUNTING_RULE` says.

    Args:
        web: documents and bytes by registered domain; the empty name holds what has none.
        small: whether the provider is a small enterprise.
    """
    named = sorted(((name, *counts) for name, counts in web.items() if name), key=lambda each: (-each[2], each[0]))
    wanted = math.ceil(len(named) * (SMALL_DOMAIN_SHARE if small else DOMAIN_SHARE))
    return named[: min(wanted, MOST_OF_SMALL) if small else wanted]


def size_class(tokens: int) -> str:
    """The template's class of a number of tokens."""
    return next((name for end, name in SIZES if tokens < end), LARGEST_SIZE)


def _said(value: str | None) -> str:
    return value or NOT_KNOWN


def _shown(cell: Any) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _model(evidence: Evidence, config: DiscloseConfig) -> Fields:
    weights = [each for each in evidence.imported if each.startswith("weights")]
    return {
        "Versioned name": evidence.name,
        "Address": _said(config.url),
        "Depends on": "; ".join(weights) or "no other model: its weights were initialized by this run",
        "Date of placement on the Union market": _said(config.placed_on_market),
    }


def _size(evidence: Evidence, sources: Sequence[Source]) -> Fields:
    kinds = sorted({str(each["type"]) for each in sources if each.get("type")})
    tokens = _unique_tokens(evidence)
    size = NOT_KNOWN if tokens is None else f"{size_class(tokens)} ({tokens:,} training tokens after curation)"
    if evidence.imported:
        size = f"{NOT_KNOWN}, as {' and '.join(evidence.imported)} came from elsewhere; what this run adds: {size}"
    domains = [{"domain": name, "training tokens": count} for name, count in sorted((evidence.tokens or {}).items())]
    return {
        "Modality": "text",
        "Size of text": size,
        "Types of content": ", ".join(kinds) or NOT_KNOWN,
        "Latest date of acquisition": latest_date(sources),
        "Languages": languages(sources),
        "Tokens by domain": domains or NOT_KNOWN,
    }


def _unique_tokens(evidence: Evidence) -> int | None:
    """Training tokens of all domains but those that hold documents of others once more."""
    if evidence.tokens is None:
        return None
    again = {f"{name}_long" for name in evidence.tokens} | evidence.selected
    return sum(count for name, count in evidence.tokens.items() if name not in again)


def _row(source: Source) -> Fields:
    size = megabytes(source)
    return {
        "name": source["name"],
        "address": source.get("url") or NOT_KNOWN,
        "what it is": source.get("description") or NOT_KNOWN,
        "obtained": source.get("date_obtained") or NOT_KNOWN,
        "license": source.get("licence") or NOT_KNOWN,
        "MB of text": NOT_KNOWN if size is None else f"{size:.3f}",
    }


def _list(sources: Sequence[Source]) -> Fields:
    return {"Used": "yes", "Sources": [_row(each) for each in sources]} if sources else {"Used": "none is recorded"}


def _public(sources: Sequence[Source]) -> Fields:
    if not sources:
        return _list(sources)
    total = sum(megabytes(each) or 0.0 for each in sources)
    large = [each for each in sources if (size := megabytes(each)) is None or size > LARGE_SHARE * total]
    return {
        "Used": "yes",
        "Modality": "text",
        f"Large data sets (above {LARGE_SHARE:.0%} of the size of all, or of a size that is not known)": [
            _row(each) for each in large
        ],
        "Others": "; ".join(
            f"{each['name']}: {each.get('description', NOT_KNOWN)}" for each in sources if each not in large
        )
        or "none",
    }


def _crawled(evidence: Evidence, config: DiscloseConfig, sources: Sequence[Source]) -> Fields:
    share, most = (
        (SMALL_DOMAIN_SHARE, f", at most {MOST_OF_SMALL:,}") if config.small_enterprise else (DOMAIN_SHARE, "")
    )
    fields = _list(sources)
    if sources or config.crawlers:
        fields |= {"Crawlers, purposes, behavior and period": _said(config.crawlers), "Modality": "text"}
    if evidence.web is None:
        return {**fields, "Domain names": f"{NOT_KNOWN}: the curation of this run has not counted them"}
    named = [name for name in evidence.web if name]
    return {
        **fields,
        "Domain names": [
            {"domain": name, "documents": documents, "bytes of text": size}
            for name, documents, size in listed_domains(evidence.web, config.small_enterprise)
        ],
        "Number of domain names": len(named),
        "Documents with an address that has no domain name": evidence.web.get("", (0, 0))[0],
        "Counting rule": COUNTING_RULE.format(share=share, most=most)
        + " Pages that a public data set has taken from the web are counted as well.",
    }


def _synthetic(evidence: Evidence, sources: Sequence[Source]) -> Fields:
    own = [each.manifest.stage for each in evidence.made_by if each.manifest.kind in GENERATING_KINDS]
    fields = _list(sources)
    if sources:
        rows = fields["Sources"]
        for row, each in zip(rows, sources, strict=True):
            row |= {"made by": each.get("source") or NOT_KNOWN, "made from": each.get("seed_data") or NOT_KNOWN}
    return {**fields, "Stages that trained on the model's own completions": ", ".join(own) or "none"}


def _other(evidence: Evidence, sources: Sequence[Source]) -> Fields:
    fields = _list(sources)
    if evidence.undisclosed:
        fields |= {f"Files of the provider's own, whose origin is {NOT_KNOWN}": ", ".join(evidence.undisclosed)}
    return fields


REMOVES_ILLEGAL = ("url_filter", "pii", "secrets", "licences")
"""Steps of curation that look for personal data, secrets, licenses, or addresses on a list."""


def _illegal(evidence: Evidence, config: DiscloseConfig) -> Fields:
    steps = [row for row in _steps(evidence) if row["step"] in REMOVES_ILLEGAL]
    return {"Measures": _said(config.illegal_content), "Steps on lists of addresses, personal data and licenses": steps}


def _steps(evidence: Evidence) -> list[Fields]:
    return [
        {
            "stage": stage,
            "domain": domain,
            "step": step["step"],
            "in": step["in"],
            "removed": step["removed"],
            "edited": step.get("edited", 0),
        }
        for stage, audit in evidence.audits.items()
        for domain, report in sorted(audit.items())
        for step in report.get("steps", ())
    ]
