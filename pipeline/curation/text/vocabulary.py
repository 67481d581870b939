"""Texts as arrays of word numbers: each chunk of text is tokenized once, however often and wherever it comes.

The words are those of datatrove's tokenizers. spaCy's, for English, looks at one chunk between white space after the
other, so a chunk's words can be remembered, and unknown chunks of a text are tokenized in one call. What the filters
ask of a word (its length, is it a symbol) is answered once per word, and per text by indexing into arrays.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy
from datatrove.utils.text import PUNCTUATION_SET
from datatrove.utils.word_tokenizers import load_word_tokenizer

from pipeline.core.errors import RecipeError
from pipeline.curation.text.english_words import words_of_chunks

ENGLISH = "eng"
MOST_CHUNKS = 500_000
"""Chunks to remember, some 150 MB with their words; then the memory starts afresh."""
LONGEST_CHUNK = 40
"""Characters. Longer chunks are addresses and data, which do not come back."""
CHUNKS_PER_CALL = 20_000
"""Unknown chunks that are tokenized at once: what bounds the memory of a call."""


class Property:
    """A number for every word of a vocabulary, as an array that grows."""

    def __init__(self, of_word: Callable[[str], int], dtype: str) -> None:
        """Args: `of_word`, the number of a word; the array's `dtype`."""
        self._of_word = of_word
        self._values = numpy.zeros(1024, dtype=dtype)
        self._length = 0

    def append(self, words: Sequence[str]) -> None:
        """Numbers for new words, which follow those already known."""
        end = self._length + len(words)
        if end > len(self._values):
            self._values = numpy.concatenate(
                [self._values, numpy.zeros(max(end, len(self._values)), self._values.dtype)]
            )
        self._values[self._length : end] = [self._of_word(word) for word in words]
        self._length = end

    def __getitem__(self, numbers: numpy.ndarray) -> numpy.ndarray:
        """The numbers of words given by their places in the vocabulary."""
        return self._values[numbers]


def _is_symbol(word: str) -> bool:
    return all(character in PUNCTUATION_SET for character in word)


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def word_tokenizer(language: str) -> Any:
    """datatrove's tokenizer of a language by datatrove's name of it, such as `deu`.

    Raises:
        RecipeError: for a language that it has no tokenizer for, or one whose library is not installed.
    """
    try:
        tokenizer: Any = load_word_tokenizer(language)
        # Libraries are looked for when the first text comes.
        tokenizer.word_tokenize("a")
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise RecipeError(
            f"language={language}: its word tokenizer is not installed ({reason}); for Chinese, Japanese and Korean "
            "pip install 'fivephase[cjk]'"
        ) from None
    except ValueError as error:
        raise RecipeError(
            f"language={language}: {' '.join(str(error).split())}; set a code such as eng or deu"
        ) from None
    return tokenizer


class Vocabulary:
    """The words that a process has seen in one language, numbered in the order in which they came."""

    def __init__(self, language: str) -> None:
        """Args: `language`, datatrove's name of it, as in `eng`."""
        self._split: Callable[[str], list[str]] = str.split
        self._words_of: Callable[[Sequence[str]], list[list[str]]] = words_of_chunks
        if language != ENGLISH:  # others do not all split at white space first
            tokenizer = word_tokenizer(language)
            self._split = lambda text: [text]
            self._words_of = lambda texts: list(map(tokenizer.word_tokenize, texts))
        self.forget()

    def forget(self) -> None:
        """Starts afresh."""
        self._chunks: dict[str, tuple[int, ...]] = {}
        self._numbers: dict[str, int] = {}
        self.lengths = Property(len, "int32")
        self.symbols = Property(_is_symbol, "bool")
        self.with_letters = Property(_has_letter, "bool")

    def words(self, text: str) -> numpy.ndarray:
        """The words of a text by their numbers, as int32; valid until the next text."""
        if len(self._chunks) > MOST_CHUNKS:
            self.forget()
        chunks = self._split(text)
        unknown = list(dict.fromkeys(chunk for chunk in chunks if chunk not in self._chunks))
        for first in range(0, len(unknown), CHUNKS_PER_CALL):
            self._learn(unknown[first : first + CHUNKS_PER_CALL])
        numbers = numpy.fromiter(chain.from_iterable(map(self._chunks.__getitem__, chunks)), dtype=numpy.int32)
        for chunk in unknown:
            if len(chunk) > LONGEST_CHUNK:
                del self._chunks[chunk]
        return numbers

    def number_of(self, word: str) -> int | None:
        """The number of a word, if it has been seen."""
        return self._numbers.get(word)

    def _learn(self, chunks: Sequence[str]) -> None:
        divided = self._words_of(chunks)
        new = [word for word in dict.fromkeys(chain.from_iterable(divided)) if word not in self._numbers]
        self._numbers.update(zip(new, range(len(self._numbers), len(self._numbers) + len(new)), strict=True))
        for each in (self.lengths, self.symbols, self.with_letters):
            each.append(new)
        number = self._numbers.__getitem__
        self._chunks.update((chunk, tuple(map(number, words))) for chunk, words in zip(chunks, divided, strict=True))


@lru_cache
def vocabulary(language: str) -> Vocabulary:
    """The vocabulary of a language, one for each process."""
    return Vocabulary(language)
