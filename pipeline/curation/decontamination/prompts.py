"""Finds prompts of SFT and RL that copy a benchmark's item: equal to it, or covering much of it.

Coverage is that of Tülu 3 (Lambert et al. 2024): the share of an item's words that lie in n-grams shared with one
prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.curation.decontamination.benchmarks import read_items
from pipeline.curation.decontamination.ngram_index import NgramIndex
from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.curation.text.normalized_words import normalized_words

EXCERPT_WORDS, EXCERPT_CHARACTERS = 30, 200


@dataclass(frozen=True, slots=True)
class BenchmarkCopy:
    """The item that a prompt copies most of."""

    benchmark: str
    """Name of the item's benchmark."""
    coverage: float
    """Share of the item's words, 0 to 1; 1 where prompt and item are equal."""
    excerpt: str
    """The beginning of what is shared, as normalized words."""


class PromptIndex:
    """The items of the benchmarks that a stage's settings name, to be looked up in prompts."""

    def __init__(self, config: PromptDecontamination) -> None:
        """Reads the benchmarks.

        Raises:
            DataError: for a benchmark that cannot be read.
        """
        self._config = config
        self._names = [benchmark.name for benchmark in config.benchmarks]
        texts = [list(read_items(benchmark)) for benchmark in config.benchmarks]
        self._index = NgramIndex(texts, config.n_grams)
        self._equal: dict[str, str] = {}
        """The words of each item to its benchmark's name."""
        for name, each in zip(self._names, texts, strict=True):
            for text in each:
                if key := " ".join(normalized_words(text)[0]):
                    self._equal.setdefault(key, name)

    def find_copy(self, prompt: str) -> BenchmarkCopy | None:
        """The item that a prompt equals or covers to at least `minimum_coverage`, or None if it may be trained on.

        An item shorter than an n-gram is copied by an equal prompt only: any text may hold a short answer.
        """
        words, _ = normalized_words(prompt)
        if (name := self._equal.get(" ".join(words))) is not None:
            return BenchmarkCopy(name, 1.0, _excerpt(words, 0))
        covered: dict[int, set[int]] = {}
        begins: dict[int, int] = {}
        for match in self._index.matches(words):
            if match.length < self._config.n_grams:
                continue
            for position in match.positions:
                item = self._index.item_at(position)
                covered.setdefault(item, set()).update(range(position, position + match.length))
                begins.setdefault(item, match.first)
        starts = self._index.starts
        shares = {item: len(each) / int(starts[item + 1] - starts[item]) for item, each in covered.items()}
        if not shares:
            return None
        # Of equal shares the first item.
        item = max(sorted(shares), key=lambda each: shares[each])
        if shares[item] < self._config.minimum_coverage:
            return None
        name = self._names[self._index.owners[item]]
        return BenchmarkCopy(name, round(shares[item], 4), _excerpt(words, begins[item]))


def _excerpt(words: list[str], begin: int) -> str:
    return " ".join(words[begin : begin + EXCERPT_WORDS])[:EXCERPT_CHARACTERS]
