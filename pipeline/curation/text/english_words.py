"""The words of English text as spaCy divides it, chunk by chunk between white space, in a fraction of its time.

spaCy takes punctuation off both ends of a chunk, one character at a time, and divides the rest at its infixes, unless
the whole or what is left is an exception. Most chunks have simple ends, and are divided here in two calls of
`str.strip` and a search for infixes; spaCy's own tokenizer does the others.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from string import ascii_letters, digits, punctuation
from typing import Any

import numpy

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
PREFIXES = "!\"#$%&'()*,:;<=>?[]_`{}"
"""ASCII characters that are a prefix by themselves whatever follows them."""
SUFFIXES = "!\"#&'()*,:;<>?[]_`{}"
"""ASCII characters that are a suffix by themselves whatever is before them."""
BEFORE_DOT = frozenset("!\"#%&'()*+,-:;<>?[]_`{|}" + digits + ascii_letters[:26])
"""ASCII characters after which a single dot at the end is a suffix."""
NO_PREFIX = r"A-Za-z0-9@\\^|~/\-"
"""ASCII characters that neither are a prefix nor begin one, but for currencies."""
NO_SUFFIX = r"A-Za-z0-9@\\^|~/\-="
"""ASCII characters that neither are a suffix nor end one, but for units and currencies."""
CORE = re.compile(rf"(?:[{NO_PREFIX}]|\.(?!\.))(?:[!-#%-~]*[{NO_SUFFIX}])?")
"""What no affix is left on but for a unit after a digit, or `'s`; a currency has a $."""
UNIT = re.compile(r"[0-9'](?:(?<=[0-9])[A-Za-z]+|[sS])\Z")
"""Letters at the end that may be a suffix after all: a unit after a digit, or `'s`."""
ONE_WORD = re.compile("[A-Za-z]+[0-9]*|[0-9]+")
"""Chunks in which no rule of spaCy's finds a place to split, but for those that are exceptions as a whole."""
SEPARATOR = "zz"
"""A word of no exception, between chunks: spaCy puts `:` and `(` of neighbours together to the exception `:(`."""
CHUNKS_PER_CALL = 20_000
"""Chunks that spaCy is given at once: what bounds the memory of a call."""
FREED_TOO_EARLY = "IS_ALPHA"
"""A word that has the number 1 in spaCy. preshed 3.0.15 keeps a map's value for that key when it is cleared, so that
after a memory zone the vocabulary returns memory that was given back. datatrove drops the word for it."""


@lru_cache
def english_tokenizer() -> Any:
    """spaCy's English tokenizer as datatrove uses it, without the work that does not bear on where words end."""
    import spacy
    from spacy.tokenizer import Tokenizer

    language = spacy.blank("en")
    # What a word looks like, is like and so on: half the time of a new word, and not asked for.
    vocabulary: Any = language.vocab
    vocabulary.lex_attr_getters = {}
    vocabulary[FREED_TOO_EARLY]  # outside of memory zones it stays
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


class SimpleChunks:
    """Divides chunks with simple ends."""

    def __init__(self, stock: Any) -> None:
        """Args: `stock`, spaCy's tokenizer."""
        from spacy.tokenizer import Tokenizer

        self._url_match, self._infixes = stock.url_match, ASCII_INFIX.finditer
        self._exceptions = {text.lstrip(PREFIXES).rstrip(SUFFIXES) for text in stock.rules}
        without = Tokenizer(
            stock.vocab,
            prefix_search=stock.prefix_search,
            suffix_search=stock.suffix_search,
            infix_finditer=stock.infix_finditer,
        )
        divided = [[token.text for token in without(text)] for text in stock.rules]
        self._merged = {(words[0], words[1]) for words in divided if len(words) > 1}
        """The first two words of exceptions that are put together again where their words stand side by side."""

    def words(self, chunk: str) -> list[str]:
        """The words of a chunk, or none if it is not simple."""
        left = chunk.lstrip(PREFIXES)
        core = left.rstrip(SUFFIXES)
        if core[-1:] == "." and core[-2:-1] in BEFORE_DOT and core not in self._exceptions:
            core = core[:-1].rstrip(SUFFIXES)
        if core in self._exceptions or not CORE.fullmatch(core) or UNIT.search(core):
            return []
        words = list(chunk[: len(chunk) - len(left)])
        start, infixes = 0, list(self._infixes(core))
        if infixes and not ("." in core and self._url_match(core)):
            for infix in infixes:
                begin, end = infix.span()
                if begin > start:  # spaCy leaves an infix that follows another to the next word
                    words += core[start:begin], core[begin:end]
                    start = end
        words.append(core[start:])
        words += left[len(core) :]
        if len(words) > 1 and not self._merged.isdisjoint(pairwise(words)):
            # The end of a function's head is an exception.
            simple = words[-2:] == [")", ":"] and len(words) > 2
            if not simple or not self._merged.isdisjoint(pairwise(words[:-1])):
                return []
            words[-2:] = ["):"]
        return words


@lru_cache
def _simple_chunks() -> SimpleChunks:
    return SimpleChunks(english_tokenizer().tokenizer)


def words_of_chunks(chunks: Sequence[str]) -> list[list[str]]:
    """The words of English chunks, each without white space."""
    exceptions, divide = english_tokenizer().tokenizer.rules, _simple_chunks().words
    found = [[chunk] if ONE_WORD.fullmatch(chunk) and chunk not in exceptions else divide(chunk) for chunk in chunks]
    others = [place for place, words in enumerate(found) if not words]
    for first in range(0, len(others), CHUNKS_PER_CALL):
        places = others[first : first + CHUNKS_PER_CALL]
        for place, words in zip(places, _divide([chunks[place] for place in places]), strict=True):
            found[place] = words
    return found


def _divide(chunks: Sequence[str]) -> Iterator[list[str]]:
    """spaCy's words of each chunk."""
    from spacy.attrs import ORTH, SPACY  # type: ignore[attr-defined]

    language = english_tokenizer()
    with language.memory_zone():
        array = language.tokenizer(f" {SEPARATOR} ".join(chunks)).to_array([ORTH, SPACY])
        orths: list[int] = array[:, 0].tolist()
        texts = {orth: language.vocab.strings[orth] for orth in set(orths)}
    words = [texts[orth] for orth in orths]
    start = 0
    # The last word of each chunk is followed by a space, and so is the separator after it.
    for end in [*(numpy.flatnonzero(array[:, 1])[::2] + 1).tolist(), len(words)]:
        yield words[start:end]
        start = end + 1
