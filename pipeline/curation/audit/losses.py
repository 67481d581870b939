"""Finds steps that removed nearly all documents, which is more often a mistake in a recipe than bad data."""

from typing import Any

from pipeline.core.errors import DataError
from pipeline.curation.recipes.steps import STEPS

LARGE_LOSS = 0.95
"""Share of a step's documents from which its removals are pointed out."""
FEWEST = 20
"""Documents from which a share says something."""
COMPARING = tuple(name for name, step in STEPS.items() if step.scope == "domain")
DEDUPLICATION = ("exact_dedup", "minhash", "substring_dedup")
CAUSES = {
    "no_url": "no document has metadata `url`: name the column in metadata_keys, or remove url_filter",
    "gopher_enough_stop_words": "stop_words are those of another language",
    "language_score": "minimum_score is too high for this data",
    "licence_unknown": "metadata_keys names no column with a license: correct it, or set keep_unknown",
    "wet_record": "these are WET files: set kind: wet and remove the extractor",
    "not_html": "the archives hold something else than pages",
    "http_status": "the archives hold errors and redirections of servers",
    "no_such_column": "text_key is not the name of the column with the text",
    "few_letters": "the texts are numbers or data",
}
"""By reason of removal, what is probably wrong."""


def large_losses(steps: list[dict[str, Any]]) -> list[str]:
    """A sentence for each step that took 20 documents or more and removed 95 % of them.

    Args:
        steps: the funnel of a domain, as `AuditLog.funnel` gives it. Steps that compare documents are left out: what a
            deduplication removes is still there once.
    """
    return [
        _sentence(step)
        for step in steps
        if step["in"] >= FEWEST and step["removed"] >= LARGE_LOSS * step["in"] and step["step"] not in COMPARING
    ]


def check_not_empty(domain: str, steps: list[dict[str, Any]]) -> None:
    """Finds out why a domain has no documents, if it has none.

    Raises:
        DataError: if the sources gave none, or if a step took the last ones. All may be copies of an earlier run's,
            though: nothing is wrong then.
    """
    last = next((step for step in steps if not step["kept"]), None)
    if last is None or last["step"] in DEDUPLICATION:
        return
    if not steps[0]["in"]:
        raise DataError(f"{domain}: its sources gave no document, set path and pattern to files that hold some")
    worst = max((step for step in steps if step["step"] not in DEDUPLICATION), key=lambda step: step["removed"])
    raise DataError(f"{domain}: no document is left of {steps[0]['in']:,}; {_sentence(worst)}")


def _sentence(step: dict[str, Any]) -> str:
    reason, count = max(step["reasons"].items(), key=lambda each: (each[1], each[0]))
    cause = CAUSES.get(reason, "its limits, or what it reads of the metadata, do not suit this data")
    return f"{step['step']} removed {step['removed']:,} of {step['in']:,}, {count:,} of them for {reason}: {cause}"
