"""Finds prompts of evaluations in training texts: a whole prompt, or much of a long one.

A short prompt such as "Work out 0 + 4." is found wherever a text has its words and signs in a row. Of a prompt of 13
words or more it is enough that half of its words lie in runs of 13 that one text has as well: the run that
`decontaminate` looks for in documents (Brown et al. 2020), and the coverage from which a question of SFT copies an item
(Lambert et al. 2024, Tülu 3).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.curation.decontamination.ngram_index import NgramIndex
from pipeline.curation.recipes.steps.contamination import Decontaminate
from pipeline.curation.text.normalized_words import normalized_words

N_GRAMS = Decontaminate.n_grams
"""Words in a row of a long prompt that a text must have."""
MINIMUM_COVERAGE = 0.5
"""Share of a long prompt's words in such runs from which one text holds it."""
EXCERPT_CHARACTERS = 200
_SIGN = re.compile(r"[-+*/^=<>%](?=[\s(]*\d)")
"""What tells "3 + 4" from "3 - 4", which have the same words: a sign before a number."""
_ALIKE = str.maketrans("−×÷", "-*/")


@dataclass(frozen=True, slots=True)
class Held:
    """A prompt that a text holds."""

    prompt: int
    """Its place among the prompts."""
    coverage: float
    """Share of its words that the text has in the same order, 0 to 1."""
    exact: bool
    """Whether the text has the whole prompt, up to case, punctuation and forms of characters."""
    excerpt: str
    """The text from where the prompt begins in it."""

    @property
    def rank(self) -> tuple[bool, float]:
        """By which one text holds a prompt more than another does."""
        return self.exact, self.coverage


class HeldPrompts:
    """Prompts, to be looked up in texts. Memory depends on the prompts alone."""

    def __init__(self, prompts: Sequence[str]) -> None:
        """Indexes prompts; one without a word is never found."""
        words = {number: normalized_words(prompt) for number, prompt in enumerate(prompts)}
        self._numbers = [number for number, (found, _) in words.items() if found]
        """The place of each item of the index among all prompts."""
        self._index = NgramIndex([[prompts[number] for number in self._numbers]], N_GRAMS)
        self._lengths = [len(words[number][0]) for number in self._numbers]
        self._signs = [
            _signs(prompts[number][spans[0][0] : spans[-1][1]])
            for number in self._numbers
            for _, spans in [words[number]]
        ]

    def find(self, text: str) -> Iterator[Held]:
        """Yields the prompts that a text holds, each once."""
        words, spans = normalized_words(text)
        aligned: Counter[tuple[int, int]] = Counter()
        """Of each prompt, by the word of the text that it would begin with, how many of its n-grams are in place."""
        shared: dict[int, dict[int, int]] = {}
        """Of each prompt its n-grams that the text has, by their first word, with their place in the text."""
        for match in self._index.matches(words):
            for position in match.positions:
                item = self._index.item_at(position)
                offset = position - int(self._index.starts[item])
                aligned[item, match.first - offset] += 1
                shared.setdefault(item, {}).setdefault(offset, match.first)
        exact: set[int] = set()
        for (item, begin), count in aligned.items():
            length = self._lengths[item]
            if item in exact or count < max(1, length - N_GRAMS + 1):
                continue
            start, end = spans[begin][0], spans[begin + length - 1][1]
            if _signs(text[start:end]) == self._signs[item]:
                exact.add(item)
                yield Held(self._numbers[item], 1.0, True, text[start : start + EXCERPT_CHARACTERS])
        for item, found in shared.items():
            length = self._lengths[item]
            if item in exact or length < N_GRAMS:
                continue
            covered = {place for offset in found for place in range(offset, offset + N_GRAMS)}
            if (coverage := len(covered) / length) >= MINIMUM_COVERAGE:
                start = spans[found[min(found)]][0]
                yield Held(self._numbers[item], coverage, False, text[start : start + EXCERPT_CHARACTERS])


def _signs(text: str) -> list[str]:
    return _SIGN.findall(text.translate(_ALIKE))
