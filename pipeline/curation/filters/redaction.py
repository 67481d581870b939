"""What steps that hide parts of a text have in common: parts found by kind, put out of sight or refused."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from datatrove.data import Document

from pipeline.curation.audit.filter_result import KEEP, FilterResult, Removal
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.privacy import Redaction

Span = tuple[int, int]
Finder = Callable[[str], Iterable[Span]]
"""Where a text holds something of one kind."""


@dataclass(frozen=True, slots=True)
class Sensitive:
    """One kind of thing to find, and what happens to it."""

    kind: str
    find: Finder
    redaction: Redaction


def redaction_filter(step: str, kinds: Iterable[Sensitive]) -> DocumentFilter:
    """A rule that looks for several kinds of things; where two overlap, the one named first counts."""
    wanted = [kind for kind in kinds if kind.redaction.action != "off"]
    refused = {kind.kind for kind in wanted if kind.redaction.action == "remove_document"}
    replacements = {kind.kind: kind.redaction.replacement for kind in wanted}

    def apply(document: Document) -> FilterResult:
        """What the step says."""
        found = located(document.text, wanted)
        if not found:
            return KEEP
        counts = Counter(kind for _, _, kind in found)
        for kind in replacements:
            if kind in refused and counts[kind]:
                return FilterResult(Removal(reason=f"{step}_{kind}", value=counts[kind], threshold=0), counts=counts)
        document.text = "".join(_pieces(document.text, found, replacements))
        return FilterResult(counts=counts)

    return apply


def located(text: str, kinds: Iterable[Sensitive]) -> list[tuple[int, int, str]]:
    """All that is found, from left to right: start, end and kind."""
    taken = bytearray(len(text))
    found: list[tuple[int, int, str]] = []
    for kind in kinds:
        for start, end in kind.find(text):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append((start, end, kind.kind))
    return sorted(found)


def _pieces(text: str, found: list[tuple[int, int, str]], replacements: Mapping[str, str]) -> Iterator[str]:
    behind = 0
    for start, end, kind in found:
        yield text[behind:start]
        yield replacements[kind]
        behind = end
    yield text[behind:]
