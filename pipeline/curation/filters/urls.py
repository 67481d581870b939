"""The filter on addresses: datatrove's URL filter, with the public suffixes that come with tldextract."""

from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import URLFilter
from tldextract import TLDExtract

from pipeline.core.errors import RecipeError
from pipeline.curation.audit.filter_result import KEEP, FilterResult, reject
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.readers.bad_records import ReadDocument
from pipeline.curation.recipes.steps.pages import UrlFilter


def url_filter(step: UrlFilter) -> DocumentFilter:
    """Rejects documents without an address, or with one that is on a list or has a banned word.

    Where a recipe has pages and texts, a text without an address is kept.

    Raises:
        RecipeError: when the filter is made, for a file of domains that cannot be read.
    """
    domains = [*step.domains, *_read_lines(step.domains_file)]
    filtering = URLFilter(
        soft_word_threshold=step.soft_word_threshold,
        extra_domains=domains,
        banned_words=step.banned_words,
        banned_subwords=step.banned_subwords,
        soft_banned_words=step.soft_banned_words,
        use_integrated_lists=step.bundled_lists,
    )
    # datatrove's own extractor would fetch the list of suffixes from the network.
    filtering.tldextractor = TLDExtract(suffix_list_urls=(), cache_dir=None)

    def apply(document: Document) -> FilterResult:
        if not document.metadata.get("url"):
            return KEEP if isinstance(document, ReadDocument) and document.is_text else reject("no_url")
        decision = filtering.filter(document)
        return reject(f"url_{decision[1]}") if isinstance(decision, tuple) else KEEP

    return apply


def _read_lines(path: str | None) -> list[str]:
    if path is None:
        return []
    try:
        return [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"url_filter.domains_file={path}: cannot be read ({error}), set a file of domains") from None
