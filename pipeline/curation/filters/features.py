"""Features of a text that several filters use, computed once: words, lines, paragraphs, repeated n-grams."""

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy

from pipeline.curation.text.vocabulary import Vocabulary, vocabulary

PARAGRAPH_BREAK = re.compile(r"\n{2,}")


def duplicates(parts: Sequence[str]) -> tuple[int, int]:
    """The number of parts that equal an earlier one, and the number of characters in them."""
    unique = set(parts)
    return len(parts) - len(unique), sum(map(len, parts)) - sum(map(len, unique))


class Features:
    """The features of one text in one language; each is computed when it is first asked for."""

    def __init__(self, text: str, language: str) -> None:
        """Args: `text`; `language`, datatrove's name of its language."""
        self.text = text
        self.vocabulary: Vocabulary = vocabulary(language)

    @cached_property
    def words(self) -> numpy.ndarray:
        """The ids of the words in order, as int32. This is the costly feature: a text rejected before never pays it."""
        return self.vocabulary.word_ids(self.text)

    @cached_property
    def word_lengths(self) -> numpy.ndarray:
        """The number of characters of each word, as int32."""
        return self.vocabulary.lengths[self.words]

    @cached_property
    def lines(self) -> list[str]:
        """The lines without blank ones, split as datatrove does."""
        lines = self.text.split("\n")
        # datatrove counts what stands before the first line break and after the last as a line even if it is empty.
        return [lines[0], *filter(None, lines[1:-1]), *lines[-1:]] if len(lines) > 1 else lines

    @cached_property
    def paragraphs(self) -> list[str]:
        """The parts of the text between blank lines."""
        return PARAGRAPH_BREAK.split(self.text.strip())

    def count_present(self, words: Sequence[str]) -> int:
        """Counts how many of the given words occur in the text."""
        ids = [number for word in words if (number := self.vocabulary.id_of(word)) is not None]
        return int(sum((self.words == number).any() for number in ids))


class RepeatedNGrams:
    """The n-grams that occur more than once in a text, for n = 2, 3, ... one after the other.

    Gopher's filter asks for nine values of n. Counting n-grams anew for each would look at every word nine times, with
    keys of up to ten words. Instead n-grams are grown: one can occur twice only if both (n-1)-grams inside it do, so
    the candidates for n are the words that start a repeated (n-1)-gram and whose next word does too. A pair of
    (n-1)-gram ids, as one integer, identifies an n-gram for every n, so that comparison is exact without hashing, and
    each n looks at fewer words than the one before.
    """

    def __init__(self, features: Features) -> None:
        """Args: `features` of the text."""
        self._words, self._lengths = features.words, features.word_lengths
        # Characters before each word: the length of any n-gram is a difference of two of them.
        self._offsets = numpy.concatenate([[0], numpy.cumsum(self._lengths, dtype=numpy.int64)])
        self.n = 1
        # First words of the repeated n-grams, ascending, and ids that are equal where the n-grams are. For n = 1 they
        # are all words, repeated or not.
        self._starts = numpy.arange(len(self._words))
        self._ids = self._words.astype(numpy.int64)

    def advance(self, n: int) -> None:
        """Goes on to n-grams of `n` words; `n` must not be smaller than before.

        For each length up to `n`: neighbors among the starts give the candidates, the ids of their two halves give one
        key each, sorting the keys puts equal n-grams side by side, and those with an equal neighbor stay, numbered from
        1. Sorted and compared by hand, since `numpy.unique` also numbers the n-grams that occur once and makes more
        calls, which dominate the time of a short text.
        """
        assert n >= self.n
        while self.n < n:
            self.n += 1
            follows = numpy.flatnonzero(self._starts[1:] - self._starts[:-1] == 1)
            keys = self._ids[follows] * (int(self._ids.max(initial=0)) + 1) + self._ids[follows + 1]
            order = keys.argsort()
            keys = keys[order]
            same = numpy.zeros(len(keys) + 1, dtype=bool)
            numpy.equal(keys[1:], keys[:-1], out=same[1:-1])
            repeated = same[1:] | same[:-1]
            ids = numpy.zeros(len(keys), dtype=numpy.int64)
            ids[order[repeated]] = (~same[:-1])[repeated].cumsum()
            repeated = ids > 0
            self._starts, self._ids = self._starts[follows][repeated], ids[repeated]

    def characters(self, start: int) -> int:
        """The number of characters in the words of the n-gram that begins at a word."""
        return int(self._offsets[start + self.n] - self._offsets[start])

    def top(self) -> int:
        """Characters in all occurrences of the most frequent n-gram, with the spaces inside it; the first of equals.

        Where no n-gram is repeated, the most frequent one is the first of the text; 0 for a text of fewer words than n.
        """
        if len(self._words) < self.n:
            return 0
        if not len(self._starts):
            return self.characters(0) + self.n - 1
        counts = numpy.bincount(self._ids)
        first = int(numpy.argmax(counts[self._ids] == counts.max()))
        return (self.characters(int(self._starts[first])) + self.n - 1) * int(counts.max())

    def covered(self) -> int:
        """Characters of all words that lie in a repeated n-gram.

        This is never less than `duplicated`, costs less, and only falls as n grows: a small value decides early.
        """
        following = numpy.append(self._starts[1:], len(self._words))
        return int((self._offsets[numpy.minimum(self._starts + self.n, following)] - self._offsets[self._starts]).sum())

    def duplicated(self) -> int:
        """Characters in n-grams that equal an earlier one, read from left to right without overlaps."""
        seen: set[int] = set()
        total = free = 0
        for start, number in zip(self._starts.tolist(), self._ids.tolist(), strict=True):
            if start < free:
                continue
            if number in seen:
                total += self.characters(start)
                free = start + self.n
            else:
                seen.add(number)
        return total


@lru_cache(maxsize=1)
def features(text: str, language: str) -> Features:
    """The features of a text. Those of the last text are remembered, so that filters in a row share them."""
    return Features(text, language)
