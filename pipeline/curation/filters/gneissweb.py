"""GneissWeb's filter: a quality score, and readability or tokens per character, with limits by category.

The scores are in the metadata, where a step `classifier` wrote them: each is the probability of the label it names.
"""

from collections.abc import Mapping

from datatrove.data import Document

from pipeline.curation.audit.filter_result import Check, FilterResult, reject
from pipeline.curation.filters.extreme_tokenized import tokens_per_character
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.filters.readability import eflaw
from pipeline.curation.recipes.steps.classifiers import GneissWeb


def gneissweb_filter(step: GneissWeb) -> DocumentFilter:
    """Keeps documents of good quality that are readable or have usual tokens per character.

    The reason of a rejection is the value that came nearest to its limit. Tokens, the costly part, are counted only
    where readability does not decide.

    Raises:
        DataError: when the filter is made, for a tokenizer that cannot be read.
    """
    tokens_of = tokens_per_character(step.tokenizer)

    def apply(document: Document) -> FilterResult:
        scores: Mapping[str, float] = document.metadata.get("scores", {})
        assert all(name in scores for name in step.scores), "the recipe was checked for these scores"
        quality = [Check(f"score_{name}", scores[name], limit) for name, limit in step.quality_above.items()]
        passed = [check for check in quality if check.value > check.threshold]
        if not passed:
            return _reject_nearest(quality)
        category = any(scores[name] > step.category_above for name in step.categories)
        limits = step.category_limits if category else step.limits
        name = "_of_category" if category else ""
        counts = {"of_category": 1} if category else {}
        readability = Check(f"eflaw{name}", round(eflaw(document.text), 4), limits.readability_below)
        if readability.value < readability.threshold:
            return FilterResult(checks=(*passed, readability), counts=counts)
        tokens = tokens_of(document.text)
        few = Check(f"few_tokens_per_character{name}", tokens, limits.tokens_at_least)
        many = Check(f"many_tokens_per_character{name}", tokens, limits.tokens_at_most)
        if few.threshold <= tokens <= many.threshold:
            return FilterResult(checks=(*passed, few, many), counts=counts)
        return _reject_nearest([readability, few if tokens < few.threshold else many], counts)

    return apply


def _reject_nearest(failed: list[Check], counts: Mapping[str, int] | None = None) -> FilterResult:
    nearest = min(failed, key=lambda check: (check.distance, check.reason))
    return FilterResult(reject(nearest.reason, nearest.value, nearest.threshold).removal, counts=counts or {})
