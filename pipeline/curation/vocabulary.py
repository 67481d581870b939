"""Texts as arrays of word numbers: each chunk of text is tokenized once, however often and wherever it comes.

The words are those of datatrove's tokenizers. spaCy's, for English, looks at one chunk between white space after the
other, so a chunk's words can be remembered, and unknown chunks of a text are tokenized in one call. What the filters
ask of a word (its length, is it a symbol) is answered once per word, and per text by indexing into arrays.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from string import ascii_letters, digits, punctuation
from typing import Any

import numpy
from datatrove.utils.text import PUNCTUATION_SET
from datatrove.utils.word_tokenizers import load_word_tokenizer

from pipeline.errors import RecipeError

ENGLISH = "eng"
MOST_CHUNKS = 500_000
"""Chunks to remember, some 150 MB with their words; then the memory starts afresh."""
LONGEST_CHUNK = 40
"""Characters. Longer chunks are addresses and data, which do not come back."""
LETTERS = frozenset(ascii_letters)
DIGITS = frozenset(digits)
ONE_CHARACTER = frozenset(punctuation) - {".", "$"}
"""What ends a suffix of one character, if any: longer ones are dots, currencies such as US$, units and `'s`."""
BEFORE_LETTERS = re.compile(r"[^A-Za-z]")
LONGEST_SUFFIX = 8
"""Characters at the end of a chunk in which a longer suffix lies: a unit after its digit, `'s`, a currency."""
ASCII_INFIX = re.compile(
    r"""[-+*^.,~:<>=/] (?:
      (?<=\.) \.+
    | (?<=[0-9][-+*^]) (?=[0-9-])
    | (?<=[a-z'"`,]\.) (?=[A-Z'"`,])
    | (?<=[A-Za-z],) (?=[A-Za-z])
    | (?<=[A-Za-z0-9]-) -{0,2} (?=[A-Za-z])
    | (?<=[A-Za-z0-9][~:<>=/]) (?=[A-Za-z])
    )""",
    re.VERBOSE,
)
"""spaCy's English infixes as far as ASCII goes. It begins with a set of characters, to which `re` skips."""
ONE_WORD = re.compile("[A-Za-z]+[0-9]*|[0-9]+")
"""Chunks in which no rule of spaCy's finds a place to split, but for those that are exceptions as a whole."""
CHUNKS_PER_CALL = 20_000
"""Unknown chunks that spaCy is given at once: what bounds the memory of a call."""


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


@lru_cache
def english_tokenizer() -> Any:
    """spaCy's English tokenizer as datatrove uses it, without the work that does not bear on where words end."""
    import spacy
    from spacy.tokenizer import Tokenizer

    language = spacy.blank("en")
    # What a word looks like, is like and so on: half the time of a new word, and not asked for.
    vocabulary: Any = language.vocab
    vocabulary.lex_attr_getters = {}
    stock: Any = language.tokenizer
    search, finditer, match_url = stock.suffix_search, stock.infix_finditer, stock.url_match
    # spaCy anchors each prefix by itself and searches: they would all be tried at every place.
    prefixes = re.compile("|".join(each for each in map(str, language.Defaults.prefixes or ()) if each.strip()))

    def find_suffix(chunk: str) -> Any:
        """A suffix at the end of a chunk, or None. What a pattern looks back at may lie before the search begins."""
        last = chunk[-1:]
        if last in ONE_CHARACTER:
            return search(chunk, len(chunk) - 1)
        if last in DIGITS:
            return None
        if chunk.endswith(".."):
            return search(chunk)
        start = max(0, len(chunk) - LONGEST_SUFFIX)
        # All suffixes that end in a letter are units after a digit, or follow an apostrophe.
        return None if last in LETTERS and not BEFORE_LETTERS.search(chunk, start) else search(chunk, start)

    def find_prefix(chunk: str) -> Any:
        """A prefix at the beginning of a chunk, or None."""
        # Prefixes that begin with a letter are currencies, such as US$.
        return None if chunk[:1] in LETTERS and "$" not in chunk else prefixes.match(chunk)

    language.tokenizer = Tokenizer(
        vocabulary,
        rules=stock.rules,
        prefix_search=find_prefix,
        suffix_search=find_suffix,
        infix_finditer=lambda chunk: (ASCII_INFIX.finditer if chunk.isascii() else finditer)(chunk),
        token_match=stock.token_match,
        # An address has a dot.
        url_match=lambda chunk: match_url(chunk) if "." in chunk else None,
    )
    return language


def words_of_chunks(chunks: Sequence[str]) -> list[list[str]]:
    """The words of English chunks, each without white space."""
    exceptions = english_tokenizer().tokenizer.rules
    found = [[chunk] if ONE_WORD.fullmatch(chunk) and chunk not in exceptions else [] for chunk in chunks]
    others = [place for place, words in enumerate(found) if not words]
    for first in range(0, len(others), CHUNKS_PER_CALL):
        places = iter(others[first : first + CHUNKS_PER_CALL])
        text = " ".join(chunks[place] for place in others[first : first + CHUNKS_PER_CALL])
        with english_tokenizer().memory_zone():
            place = next(places)
            for token in english_tokenizer().tokenizer(text):
                found[place].append(token.text)
                if token.whitespace_:
                    place = next(places)
    return found


class Vocabulary:
    """The words that a process has seen in one language, numbered in the order in which they came."""

    def __init__(self, language: str) -> None:
        """Args: `language`, datatrove's name of it, as in `eng`."""
        # Other languages do not all split at white space first.
        by_chunk = language == ENGLISH
        self._tokenizer: Any = english_tokenizer() if by_chunk else word_tokenizer(language)
        self._learn = self._learn_chunks if by_chunk else self._learn_text
        self._split: Callable[[str], list[str]] = str.split if by_chunk else lambda text: [text]
        self.forget()

    def forget(self) -> None:
        """Starts afresh."""
        self._chunks: dict[str, list[int]] = {}
        self._numbers: dict[str, int] = {}
        self._orths: dict[int, int] = {}
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

    def _number(self, words: Sequence[str]) -> None:
        new = [word for word in dict.fromkeys(words) if word not in self._numbers]
        self._numbers.update(zip(new, range(len(self._numbers), len(self._numbers) + len(new)), strict=True))
        for each in (self.lengths, self.symbols, self.with_letters):
            each.append(new)

    def _learn_text(self, chunks: Sequence[str]) -> None:
        for chunk in chunks:
            words = self._tokenizer.word_tokenize(chunk)
            self._number(words)
            self._chunks[chunk] = [self._numbers[word] for word in words]

    def _learn_chunks(self, chunks: Sequence[str]) -> None:
        from spacy.attrs import ORTH, SPACY  # type: ignore[attr-defined]

        exceptions = self._tokenizer.tokenizer.rules
        plain = [chunk for chunk in chunks if ONE_WORD.fullmatch(chunk) and chunk not in exceptions]
        self._number(plain)
        self._chunks.update((chunk, [self._numbers[chunk]]) for chunk in plain)
        chunks = [chunk for chunk in chunks if chunk not in self._chunks]
        if not chunks:
            return
        with self._tokenizer.memory_zone():
            array = self._tokenizer.tokenizer(" ".join(chunks)).to_array([ORTH, SPACY])
            orths: list[int] = array[:, 0].tolist()
            new = [orth for orth in dict.fromkeys(orths) if orth not in self._orths]
            words = [self._tokenizer.vocab.strings[orth] for orth in new]
        self._number(words)
        self._orths.update((orth, self._numbers[word]) for orth, word in zip(new, words, strict=True))
        numbers = [self._orths[orth] for orth in orths]
        # The last token of each chunk is followed by the space that joins it to the next.
        ends = [*(numpy.flatnonzero(array[:, 1]) + 1).tolist(), len(orths)]
        start = 0
        for chunk, end in zip(chunks, ends, strict=True):
            self._chunks[chunk] = numbers[start:end]
            start = end


@lru_cache
def vocabulary(language: str) -> Vocabulary:
    """The vocabulary of a language, one for each process."""
    return Vocabulary(language)
