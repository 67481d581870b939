"""A domain's part of the report, with the funnel of its steps, and of the disclosure of its sources."""

import itertools
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.curation.audit.web_domains import WebDomains
from pipeline.curation.recipes.recipe import Recipe
from pipeline.curation.recipes.steps.text import Language
from pipeline.curation.text import documents

BYTES_PER_MEGABYTE = 10**6


def summarize(
    recipe: Recipe, output: Path, funnel: list[dict[str, Any]], web: WebDomains
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Measures the documents that a domain kept, and checks that they are those the funnel ends with.

    Args:
        recipe: of the domain.
        output: folder of the stage's artifact, where the domain's documents are.
        funnel: the counts of the domain's steps, as `AuditLog.funnel` gives them.
        web: is given the addresses of the documents, unless they are those of another domain.

    Returns:
        The domain's part of `report.json`, and its entries of `disclosure.json`, one for each source.
    """
    kept, size, longest, characters = 0, 0, 0, 0
    of_source: dict[str, Counter[str]] = {source.disclosure.name: Counter() for source in recipe.sources}
    languages: dict[str, Counter[str]] = {name: Counter() for name in of_source}
    # A column of somebody's table may be called `language` too; a domain made of another has what was found there.
    looked = bool(recipe.upstream) or any(isinstance(step, Language) for step in recipe.steps)
    for document in documents.read_folder(output / "documents" / recipe.domain):
        length = len(document.text.encode())
        kept, size, longest, characters = kept + 1, size + length, max(longest, length), characters + len(document.text)
        # A domain made of another keeps the names of the other's sources.
        name = document.metadata["source"]
        if not recipe.upstream:
            web.count(name, document.metadata, length)
        of_source.setdefault(name, Counter()).update(documents=1, bytes=length)
        if looked:
            languages.setdefault(name, Counter())[document.metadata.get("language", "")] += 1
    # Every step takes what the one before kept; the last one's are the documents that stay.
    for before, after in itertools.pairwise(funnel):
        assert before["kept"] == after["in"], (recipe.domain, funnel)
    assert funnel[-1]["kept"] == kept, (recipe.domain, funnel)
    report = {
        "description": recipe.description,
        "licence": recipe.licence,
        "recipe": recipe.fingerprint,
        "in": funnel[0]["in"],
        "kept": kept,
        "removed": funnel[0]["in"] - kept,
        "characters": characters,
        "bytes": size,
        "longest_document_bytes": longest,
        "steps": funnel,
        "sources": {name: dict(count) for name, count in sorted(of_source.items())},
    }
    return report, [_disclosed(recipe, index, of_source, languages) for index in range(len(recipe.sources))]


def _disclosed(
    recipe: Recipe, index: int, of_source: dict[str, Counter[str]], languages: dict[str, Counter[str]]
) -> dict[str, Any]:
    """One source in the fields of IBM's disclosures (ibm-granite/granite-4.1-language-models), and where it went.

    `size_MB` is what was kept of it, as UTF-8 text, in 10^6 bytes; `languages` are those found where a step looked, and
    else the recipe's.
    """
    source = recipe.sources[index]
    names = [source.disclosure.name] if source.kind != "domain" else list(of_source)
    count = sum((of_source[name] for name in names), Counter())
    found = sorted({language for name in names for language in languages[name]} - {""})
    return {
        **asdict(source.disclosure),
        "size_MB": round(count["bytes"] / BYTES_PER_MEGABYTE, 6),
        "languages": found or list(source.disclosure.languages),
        "domain": recipe.domain,
        "licence": recipe.licence,
        "documents": count["documents"],
    }
