"""The filter behind `pii` and `secrets`: finds sensitive spans, and replaces them or rejects the document."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from datatrove.data import Document

from pipeline.curation.audit.filter_result import KEEP, FilterResult, Removal
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.privacy import Redaction
from pipeline.curation.text.normalized_words import Span

Finder = Callable[[str], Iterable[Span]]
"""Finds the spans of a text that hold one kind of sensitive text."""


@dataclass(frozen=True, slots=True)
class SensitiveKind:
    """One kind of sensitive text: how it is found, and what happens to it."""

    kind: str
    find: Finder
    redaction: Redaction


def redaction_filter(step: str, kinds: Iterable[SensitiveKind]) -> DocumentFilter:
    """A document filter that replaces sensitive spans, or rejects a document with a span of a kind that demands it.

    Args:
        step: name of the step, with which reasons begin.
        kinds: what to look for. Where spans of two kinds overlap, the kind named first counts.
    """
    wanted = [kind for kind in kinds if kind.redaction.action != "off"]
    rejecting_kinds = {kind.kind for kind in wanted if kind.redaction.action == "remove_document"}
    replacements = {kind.kind: kind.redaction.replacement for kind in wanted}

    def apply(document: Document) -> FilterResult:
        found = find_spans(document.text, wanted)
        if not found:
            return KEEP
        counts = Counter(kind for _, _, kind in found)
        for kind in replacements:
            if kind in rejecting_kinds and counts[kind]:
                return FilterResult(Removal(reason=f"{step}_{kind}", value=counts[kind], threshold=0), counts=counts)
        document.text = "".join(_replaced(document.text, found, replacements))
        return FilterResult(counts=counts)

    return apply


def find_spans(text: str, kinds: Iterable[SensitiveKind]) -> list[tuple[int, int, str]]:
    """All sensitive spans of a text, from left to right and without overlaps: start, end and kind."""
    taken = bytearray(len(text))
    found: list[tuple[int, int, str]] = []
    for kind in kinds:
        for start, end in kind.find(text):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append((start, end, kind.kind))
    return sorted(found)


def _replaced(text: str, found: list[tuple[int, int, str]], replacements: Mapping[str, str]) -> Iterator[str]:
    behind = 0
    for start, end, kind in found:
        yield text[behind:start]
        yield replacements[kind]
        behind = end
    yield text[behind:]
