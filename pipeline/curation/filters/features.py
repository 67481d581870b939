"""What several filters ask of a text, found once: words, lines, paragraphs, repeated n-grams."""

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy

from pipeline.curation.text.vocabulary import Vocabulary, vocabulary

PARAGRAPH_BREAK = re.compile(r"\n{2,}")


def duplicates(parts: Sequence[str]) -> tuple[int, int]:
    """How many parts are copies of an earlier one, and the characters in them."""
    unique = set(parts)
    return len(parts) - len(unique), sum(map(len, parts)) - sum(map(len, unique))


class Features:
    """One text in one language."""

    def __init__(self, text: str, language: str) -> None:
        """Args: `text`; `language`, datatrove's name of it."""
        self.text = text
        self.vocabulary: Vocabulary = vocabulary(language)

    @cached_property
    def words(self) -> numpy.ndarray:
        """Numbers of the words: what costs most, so that only what comes to it pays for it."""
        return self.vocabulary.words(self.text)

    @cached_property
    def word_lengths(self) -> numpy.ndarray:
        """Characters of each word."""
        return self.vocabulary.lengths[self.words]

    @cached_property
    def lines(self) -> list[str]:
        """Lines, where blank lines are none."""
        lines = self.text.split("\n")
        # The text before the first line break and after the last is a line even if it is empty.
        return [lines[0], *filter(None, lines[1:-1]), *lines[-1:]] if len(lines) > 1 else lines

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines."""
        return PARAGRAPH_BREAK.split(self.text.strip())

    def has_words(self, words: Sequence[str]) -> int:
        """How many of some words the text has."""
        numbers = [number for word in words if (number := self.vocabulary.number_of(word)) is not None]
        return int(sum((self.words == number).any() for number in numbers))


class RepeatedNGrams:
    """The n-grams of a text that occur more than once, for n = 2, 3, ... one after the other.

    An n-gram can only be repeated where the two (n-1)-grams in it are, so that each n looks at fewer places.
    """

    def __init__(self, features: Features) -> None:
        """Args: the text's `features`."""
        self._words, self._lengths = features.words, features.word_lengths
        # Characters before each word, to know those of any n-gram.
        self._before = numpy.concatenate([[0], numpy.cumsum(self._lengths, dtype=numpy.int64)])
        self.n = 1
        self._places = numpy.arange(len(self._words))
        self._groups = self._words.astype(numpy.int64)

    def advance(self, n: int) -> None:
        """Goes on to n-grams of `n` words."""
        assert n >= self.n
        while self.n < n:
            self.n += 1
            follows = numpy.flatnonzero(self._places[1:] - self._places[:-1] == 1)
            keys = self._groups[follows] * (int(self._groups.max(initial=0)) + 1) + self._groups[follows + 1]
            # numpy.unique would number the others as well, in more calls, which are what a short text costs.
            order = keys.argsort()
            keys = keys[order]
            same = numpy.zeros(len(keys) + 1, dtype=bool)
            numpy.equal(keys[1:], keys[:-1], out=same[1:-1])
            repeated = same[1:] | same[:-1]
            groups = numpy.zeros(len(keys), dtype=numpy.int64)
            groups[order[repeated]] = (~same[:-1])[repeated].cumsum()
            repeated = groups > 0
            self._places, self._groups = self._places[follows][repeated], groups[repeated]

    def characters(self, place: int) -> int:
        """Characters of the words of an n-gram."""
        return int(self._before[place + self.n] - self._before[place])

    def top(self) -> int:
        """Characters in all occurrences of the most frequent n-gram, with the spaces in them; the first of equals."""
        if len(self._words) < self.n:
            return 0
        if not len(self._places):
            return self.characters(0) + self.n - 1
        counts = numpy.bincount(self._groups)
        first = int(numpy.argmax(counts[self._groups] == counts.max()))
        return (self.characters(int(self._places[first])) + self.n - 1) * int(counts.max())

    def covered(self) -> int:
        """Characters of all words in repeated n-grams: no less than `duplicated`, and less for every larger n."""
        following = numpy.append(self._places[1:], len(self._words))
        return int((self._before[numpy.minimum(self._places + self.n, following)] - self._before[self._places]).sum())

    def duplicated(self) -> int:
        """Characters in n-grams that came before, none counted twice: after a repeated one the next begins."""
        seen: set[int] = set()
        total = free = 0
        for place, group in zip(self._places.tolist(), self._groups.tolist(), strict=True):
            if place < free:
                continue
            if group in seen:
                total += self.characters(place)
                free = place + self.n
            else:
                seen.add(group)
        return total


@lru_cache(maxsize=1)
def features(text: str, language: str) -> Features:
    """The features of a text; those of the last one are remembered, for the next filter."""
    return Features(text, language)
