"""The sources of a model's data, sorted into the sections of the Commission's template."""

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError
from pipeline.disclosure.config import Category
from pipeline.disclosure.evidence import NOT_KNOWN, Evidence

SECTIONS: dict[Category, str] = {
    "public": "2.1",
    "licensed": "2.2.1",
    "private": "2.2.2",
    "crawled": "2.3",
    "user": "2.4",
    "synthetic": "2.5",
    "other": "2.6",
}
WORDS: dict[str, Category] = {
    "web crawling": "crawled",
    "private non-publicly available": "private",
    "publicly available": "public",
}
"""How `data_provenance` begins in IBM's disclosures, by which a source is known to belong to a section."""
MONTH = re.compile(r"\d{4}-\d{2}(-\d{2})?")

Source = Mapping[str, Any]


def category(source: Source, chosen: Mapping[str, Category]) -> Category:
    """Where a source belongs. The first rule that fits decides.

    What the settings choose; what the run imported is other; what it says to be synthetic or users' data; the words of
    its provenance; what has an address on the web is public; the rest is other.
    """
    if source["name"] in chosen:
        return chosen[source["name"]]
    if source.get("source") == "imported":
        return "other"
    if source.get("synthetic", "no") != "no":
        return "synthetic"
    if source.get("user_data", "no") != "no":
        return "user"
    provenance = str(source.get("data_provenance", "")).lower()
    for words, found in WORDS.items():
        if provenance.startswith(words):
            return found
    return "public" if str(source.get("url", "")).startswith(("http://", "https://")) else "other"


def by_category(evidence: Evidence, chosen: Mapping[str, Category]) -> dict[Category, list[Source]]:
    """All sources by their section, without those that a domain selected from other domains.

    Raises:
        ConfigError: if a name in the settings is that of no source, with the nearest.
    """
    names = {str(each["name"]) for each in evidence.datasets}
    for name in chosen:
        if name not in names:
            raise ConfigError(
                f"stages.disclose.config.categories.{name}: no source has this name, {nearest(name, names)}"
            )
    found: dict[Category, list[Source]] = {each: [] for each in SECTIONS}
    for each in evidence.datasets:
        if each.get("domain") not in evidence.selected:
            found[category(each, chosen)].append(each)
    return found


def megabytes(source: Source) -> float | None:
    """10^6 bytes of text that were kept of a source; None if the run does not say."""
    size = source.get("size_MB")
    return float(size) if isinstance(size, int | float) else None


def languages(sources: Iterable[Source]) -> str:
    """The languages of sources, in alphabetical order."""
    found = sorted({str(language) for each in sources for language in each.get("languages", ())})
    return ", ".join(found) or NOT_KNOWN


def latest_date(sources: Sequence[Source]) -> str:
    """The latest date at which a source was obtained, and of how many sources it is known."""
    dates = [date for each in sources if (date := _date(str(each.get("date_obtained", "")))) is not None]
    if not dates:
        return NOT_KNOWN
    known = "" if len(dates) == len(sources) else f" ({len(dates)} of {len(sources)} sources give a date)"
    return f"{max(dates)}{known}"


def _date(text: str) -> str | None:
    """A date of the form 2026-11-30, 2026-11 or 11/30/2026 (IBM's), as the first two are written."""
    if MONTH.fullmatch(text):
        return text
    try:
        return datetime.datetime.strptime(text, "%m/%d/%Y").date().isoformat()
    except ValueError:
        return None
