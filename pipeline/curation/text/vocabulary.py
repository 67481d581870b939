"""Makes arrays of word ids of texts, and tokenizes each chunk of text once, wherever and however often it occurs.

The words are those of datatrove's tokenizers. The one for English, spaCy's, looks at one chunk between white space
after the other, so the words of a chunk can be remembered, and the unknown chunks of a text tokenized in one call. What
filters ask of a word, such as its length, is computed once per word and looked up in arrays for each text.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy
from datatrove.utils.text import PUNCTUATION_SET
from datatrove.utils.word_tokenizers import load_word_tokenizer

from pipeline.core.errors import RecipeError
from pipeline.curation.text.english_words import CHUNKS_PER_CALL, words_of_chunks

ENGLISH = "eng"
MOST_CHUNKS = 500_000
"""Chunks to remember, some 150 MB with their words. When there are more, the vocabulary is cleared."""
LONGEST_CHUNK = 40
"""Characters of the longest chunk to remember: longer ones are addresses and data, which do not come again."""


class WordAttribute:
    """A number for every word of a vocabulary, such as its length, in an array indexed by word ids that grows."""

    def __init__(self, of_word: Callable[[str], int], dtype: str) -> None:
        """Args: `of_word`, which computes the number of a word; `dtype` of the array."""
        self._of_word = of_word
        self._values = numpy.zeros(1024, dtype=dtype)
        self._length = 0

    def append(self, words: Sequence[str]) -> None:
        """Computes the numbers of new words, whose ids follow those already known."""
        end = self._length + len(words)
        if end > len(self._values):
            self._values = numpy.concatenate(
                [self._values, numpy.zeros(max(end, len(self._values)), self._values.dtype)]
            )
        self._values[self._length : end] = [self._of_word(word) for word in words]
        self._length = end

    def __getitem__(self, ids: numpy.ndarray) -> numpy.ndarray:
        """The numbers of the words with these ids, in an array of the same shape."""
        return self._values[ids]


def _is_symbol(word: str) -> bool:
    return all(character in PUNCTUATION_SET for character in word)


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def word_tokenizer(language: str) -> Any:
    """datatrove's word tokenizer of a language.

    Args:
        language: datatrove's name of it, such as `deu`.

    Raises:
        RecipeError: for a language without a tokenizer, or one whose library is not installed.
    """
    try:
        tokenizer: Any = load_word_tokenizer(language)
        # datatrove imports the library at the first text.
        tokenizer.word_tokenize("a")
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise RecipeError(
            f"language={language}: its word tokenizer is not installed ({reason}); for Chinese, Japanese and Korean "
            "pip install 'spacy[ja]' jieba 'kiwipiepy<0.22'"
        ) from None
    except ValueError as error:
        raise RecipeError(
            f"language={language}: {' '.join(str(error).split())}; set a code such as eng or deu"
        ) from None
    return tokenizer


class Vocabulary:
    """The words that a process has seen in one language, with ids in the order in which they came."""

    def __init__(self, language: str) -> None:
        """Args: `language`, datatrove's name of it, as in `eng`."""
        self._split: Callable[[str], list[str]] = str.split
        self._words_of: Callable[[Sequence[str]], list[list[str]]] = words_of_chunks
        if language != ENGLISH:  # other tokenizers do not all split at white space first
            tokenizer = word_tokenizer(language)
            self._split = lambda text: [text]
            self._words_of = lambda texts: list(map(tokenizer.word_tokenize, texts))
        self.clear()

    def clear(self) -> None:
        """Forgets all words and their ids."""
        self._chunks: dict[str, tuple[int, ...]] = {}
        self._ids: dict[str, int] = {}
        self.lengths = WordAttribute(len, "int32")
        self.symbols = WordAttribute(_is_symbol, "bool")
        self.with_letters = WordAttribute(_has_letter, "bool")

    def word_ids(self, text: str) -> numpy.ndarray:
        """The ids of the words of a text, in order, as int32.

        They are valid until the next call, before which the vocabulary may be cleared.
        """
        if len(self._chunks) > MOST_CHUNKS:
            self.clear()
        chunks = self._split(text)
        unknown = list(dict.fromkeys(chunk for chunk in chunks if chunk not in self._chunks))
        for first in range(0, len(unknown), CHUNKS_PER_CALL):
            self._learn(unknown[first : first + CHUNKS_PER_CALL])
        ids = numpy.fromiter(chain.from_iterable(map(self._chunks.__getitem__, chunks)), dtype=numpy.int32)
        for chunk in unknown:
            if len(chunk) > LONGEST_CHUNK:
                del self._chunks[chunk]
        return ids

    def id_of(self, word: str) -> int | None:
        """The id of a word, or None if it has not been seen."""
        return self._ids.get(word)

    def _learn(self, chunks: Sequence[str]) -> None:
        divided = self._words_of(chunks)
        new = [word for word in dict.fromkeys(chain.from_iterable(divided)) if word not in self._ids]
        self._ids.update(zip(new, range(len(self._ids), len(self._ids) + len(new)), strict=True))
        for attribute in (self.lengths, self.symbols, self.with_letters):
            attribute.append(new)
        id_of = self._ids.__getitem__
        self._chunks.update((chunk, tuple(map(id_of, words))) for chunk, words in zip(chunks, divided, strict=True))


@lru_cache
def vocabulary(language: str) -> Vocabulary:
    """The vocabulary of a language, of which each process has one."""
    return Vocabulary(language)
