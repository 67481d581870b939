"""The filter on text shared with benchmarks, after Brown et al. 2020 (GPT-3), appendix C."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from datatrove.data import Document

from pipeline.core.errors import DataError
from pipeline.curation.audit.filter_result import KEEP, FilterResult, Removal
from pipeline.curation.decontamination.benchmarks import read_items
from pipeline.curation.decontamination.ngram_index import NgramIndex, NgramMatch
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.contamination import Decontaminate
from pipeline.curation.text.normalized_words import Span, normalized_words

EXCERPT_CHARACTERS = 200
MAXIMUM_MATCHES = 10
"""Rows of evidence that are written for one document, at most."""
Match = dict[str, str | int | float]


@lru_cache(maxsize=8)
def _index(step: Decontaminate) -> NgramIndex:
    """The n-grams of a step's benchmarks, read once in a process."""
    texts = [list(read_items(benchmark)) for benchmark in step.benchmarks]
    index = NgramIndex(texts, step.n_grams, step.minimum_distinct_words)
    for number, benchmark in enumerate(step.benchmarks):
        if number not in index.owners:
            raise DataError(f"{benchmark.path}: no item has enough words, set text_keys or minimum_distinct_words")
    return index


def decontamination_filter(step: Decontaminate) -> DocumentFilter:
    """Rejects documents that share an n-gram with a benchmark, or cuts the shared passages out of them.

    Raises:
        DataError: when the filter is made, for a benchmark that cannot be read or has no item to look for.
    """
    index = _index(step)

    def apply(document: Document) -> FilterResult:
        words, spans = normalized_words(document.text)
        runs = list(index.matches(words))
        if not runs:
            return KEEP
        found: Counter[str] = Counter()
        for run in runs:
            found.update(_names(run))
        matches = _matches(document.text, runs, spans)
        counts = {f"{name}_documents": 1 for name in found} | {f"{name}_runs": number for name, number in found.items()}
        # Of benchmarks with equal counts, the one that the recipe names first.
        worst = max((benchmark.name for benchmark in step.benchmarks), key=lambda name: found[name])
        removal = Removal(reason=f"benchmark_{worst}", value=found[worst], threshold=0)
        if step.remove == "span":
            removal = _cut(document, runs, spans)
        return FilterResult(removal=removal, counts=counts, matches=tuple(matches))

    def _names(run: NgramMatch) -> list[str]:
        owners = {int(index.owners[index.item_at(place)]) for place in run.positions}
        return [step.benchmarks[owner].name for owner in sorted(owners)]

    def _matches(text: str, runs: Sequence[NgramMatch], spans: Sequence[Span]) -> list[Match]:
        rows: list[Match] = []
        for start, end, run in merged_spans(runs, spans)[:MAXIMUM_MATCHES]:
            excerpt = text[start : min(end, start + EXCERPT_CHARACTERS)]
            rows += [{"benchmark": name, "start": start, "end": end, "text": excerpt} for name in _names(run)]
        return rows[:MAXIMUM_MATCHES]

    def _cut(document: Document, runs: list[NgramMatch], spans: list[Span]) -> Removal | None:
        """Cuts matches out until none is left: the text on both sides of a cut may make another match."""
        places = 0
        while runs:
            holes = widened_spans(merged_spans(runs, spans), step.window_characters, len(document.text))
            places += len(holes)
            if places > step.maximum_spans:
                return Removal(reason="too_contaminated", value=places, threshold=step.maximum_spans)
            document.text = without_spans(document.text, holes)
            words, spans = normalized_words(document.text)
            runs = list(index.matches(words))
        return None if document.text.strip() else Removal(reason="nothing_left", value=0, threshold=0)

    return apply


def merged_spans(runs: Sequence[NgramMatch], spans: Sequence[Span]) -> list[tuple[int, int, NgramMatch]]:
    """The spans of matches in the text: start, end and the first match. Overlapping spans are joined."""
    places: list[tuple[int, int, NgramMatch]] = []
    for run in sorted(runs, key=lambda run: (run.first, -run.length)):
        start, end = spans[run.first][0], spans[run.first + run.length - 1][1]
        if places and start <= places[-1][1]:
            begun, ended, first = places.pop()
            places.append((begun, max(end, ended), first))
        else:
            places.append((start, end, run))
    return places


def widened_spans(places: Sequence[tuple[int, int, NgramMatch]], window: int, length: int) -> list[Span]:
    """Spans extended by a window of characters on both sides, within a text of some length; overlaps are joined."""
    holes: list[Span] = []
    for start, end, _ in places:
        start, end = max(0, start - window), min(length, end + window)
        if holes and start <= holes[-1][1]:
            start = holes.pop()[0]
        holes.append((start, end))
    return holes


def without_spans(text: str, holes: Sequence[Span]) -> str:
    """A text with some spans cut out; each remaining part becomes a paragraph."""
    begins = [0, *(end for _, end in holes)]
    ends = [*(start for start, _ in holes), len(text)]
    pieces = (text[begin:end].strip() for begin, end in zip(begins, ends, strict=True))
    return "\n\n".join(piece for piece in pieces if piece)
