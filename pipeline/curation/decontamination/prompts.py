"""Prompts of SFT and RL that copy a benchmark's item: equal to it, or covering much of it.

Coverage is that of Tülu 3 (Lambert et al. 2024): the share of an item's words that lie in runs of words shared
with one prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.curation.decontamination.benchmarks import items
from pipeline.curation.decontamination.ngram_index import NgramIndex
from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.curation.text.normalized_words import normalized_words


@dataclass(frozen=True, slots=True)
class Copy:
    """The item that a prompt copies most of."""

    benchmark: str
    coverage: float
    """Share of the item's words, 0 to 1; 1 where prompt and item are equal."""
    excerpt: str
    """The beginning of what is shared, normalised."""


class PromptIndex:
    """The benchmarks of a setting, ready to be looked up."""

    def __init__(self, config: PromptDecontamination) -> None:
        """Reads the benchmarks.

        Raises:
            DataError: for a benchmark that cannot be read.
        """
        self._config = config
        self._names = [benchmark.name for benchmark in config.benchmarks]
        texts = [list(items(benchmark)) for benchmark in config.benchmarks]
        self._overlap = NgramIndex(texts, config.n_grams)
        self._equal: dict[str, str] = {}
        for name, each in zip(self._names, texts, strict=True):
            for text in each:
                if key := " ".join(normalized_words(text)[0]):
                    self._equal.setdefault(key, name)

    def copied(self, prompt: str) -> Copy | None:
        """What a prompt copies, or None for one that may be trained on."""
        words, _ = normalized_words(prompt)
        if (name := self._equal.get(" ".join(words))) is not None:
            return Copy(name, 1.0, _excerpt(words, 0))
        covered: dict[int, set[int]] = {}
        begins: dict[int, int] = {}
        for run in self._overlap.runs(words):
            # Items shorter than a run are copied only by an equal prompt: any text may hold a short answer.
            if run.length < self._config.n_grams:
                continue
            for place in run.places:
                item = self._overlap.item_of(place)
                covered.setdefault(item, set()).update(range(place, place + run.length))
                begins.setdefault(item, run.first)
        starts = self._overlap.starts
        shares = {item: len(each) / int(starts[item + 1] - starts[item]) for item, each in covered.items()}
        if not shares:
            return None
        item = max(sorted(shares), key=lambda each: shares[each])
        if shares[item] < self._config.minimum_coverage:
            return None
        return Copy(self._names[self._overlap.owners[item]], round(shares[item], 4), _excerpt(words, begins[item]))


def _excerpt(words: list[str], begin: int) -> str:
    return " ".join(words[begin : begin + 30])[:200]
