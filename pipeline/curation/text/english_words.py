"""Divides English text into the same words as spaCy, chunk by chunk between white space, in a fraction of the time.

spaCy takes prefixes and suffixes off both ends of a chunk, one at a time, and splits the rest at infixes, unless the
chunk or what is left of it is an exception such as "don't". Most chunks have simple ends: they are divided here with
two calls of `str.strip` and a search for infixes. spaCy's own tokenizer, with faster searches, does the others.

One thing is different: the words of a chunk never depend on its neighbors. spaCy looks for exceptions such as `''`
across white space too, and where one overlaps another, as in `' ''1`, it divides the second chunk into `'`, `'`, `1`.
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
"""Last characters of a chunk at which a suffix, if there is one, is that character alone. Longer suffixes are dots,
currencies such as US$, units of measurement, and `'s`."""
NO_LETTER = re.compile(r"[^A-Za-z]")
LONGEST_SUFFIX = 8
"""Characters at the end of a chunk in which a longer suffix lies, with the digit before a unit of measurement."""
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
"""spaCy's English infixes for chunks in ASCII. The pattern begins with a set of characters, to which `re` skips."""
PREFIXES = "!\"#$%&'()*,:;<=>?[]_`{}"
"""ASCII characters that are a prefix whatever follows them."""
SUFFIXES = "!\"#&'()*,:;<>?[]_`{}"
"""ASCII characters that are a suffix whatever stands before them."""
BEFORE_DOT = frozenset("!\"#%&'()*+,-:;<>?[]_`{|}" + digits + ascii_letters[:26])
"""ASCII characters after which a single dot at the end is a suffix."""
NO_PREFIX = r"A-Za-z0-9@\\^|~/\-"
"""ASCII characters with which no prefix begins, except currencies."""
NO_SUFFIX = r"A-Za-z0-9@\\^|~/\-="
"""ASCII characters with which no suffix ends, except units of measurement and currencies."""
CORE = re.compile(rf"(?:[{NO_PREFIX}]|\.(?!\.))(?:[!-#%-~]*[{NO_SUFFIX}])?")
"""The core of a chunk: no prefix or suffix is left on it, except a unit after a digit or `'s`. It has no $, so no
currency."""
UNIT = re.compile(r"[0-9'](?:(?<=[0-9])[A-Za-z]+|[sS])\Z")
"""Letters at the end of a core that may be a suffix after all: a unit after a digit, or `'s`."""
ONE_WORD = re.compile("[A-Za-z]+[0-9]*|[0-9]+")
"""Chunks that none of spaCy's rules splits, unless the whole chunk is an exception."""
SEPARATOR = "zz"
"""A word that stands between chunks: without it spaCy joins `:` and `(` of neighboring chunks to the exception `:(`."""
CHUNKS_PER_CALL = 20_000
"""Chunks that a tokenizer gets in one call; it bounds the memory."""
FREED_TOO_EARLY = "IS_ALPHA"
"""The word whose key in spaCy's vocabulary is 1. preshed 3.0.15 does not clear the value of that key, so that after a
memory zone the vocabulary would return memory that has been freed. datatrove drops the word from texts for it."""


@lru_cache
def english_tokenizer() -> Any:
    """spaCy's English tokenizer as datatrove uses it, without the work that does not decide where words end."""
    import spacy
    from spacy.tokenizer import Tokenizer

    language = spacy.blank("en")
    # Lexical attributes such as a word's shape take half the time of a new word, and nobody asks for them.
    vocabulary: Any = language.vocab
    vocabulary.lex_attr_getters = {}
    vocabulary[FREED_TOO_EARLY]  # added outside of a memory zone, it stays
    stock: Any = language.tokenizer
    search, finditer, match_url = stock.suffix_search, stock.infix_finditer, stock.url_match
    # spaCy searches with a pattern that anchors each prefix: all of them would be tried at every character.
    prefixes = re.compile("|".join(each for each in map(str, language.Defaults.prefixes or ()) if each.strip()))

    def find_suffix(chunk: str) -> Any:
        """The suffix at the end of a chunk, or None. Patterns may look back beyond the start of the search."""
        last = chunk[-1:]
        if last in ONE_CHARACTER:
            return search(chunk, len(chunk) - 1)
        if last in DIGITS:
            return None
        if chunk.endswith(".."):
            return search(chunk)
        start = max(0, len(chunk) - LONGEST_SUFFIX)
        # All suffixes that end in a letter are units after a digit or follow an apostrophe.
        return None if last in LETTERS and not NO_LETTER.search(chunk, start) else search(chunk, start)

    def find_prefix(chunk: str) -> Any:
        """The prefix at the beginning of a chunk, or None if it has none."""
        # The only prefixes that begin with a letter are currencies such as US$.
        return None if chunk[:1] in LETTERS and "$" not in chunk else prefixes.match(chunk)

    language.tokenizer = Tokenizer(
        vocabulary,
        rules=stock.rules,
        prefix_search=find_prefix,
        suffix_search=find_suffix,
        infix_finditer=lambda chunk: (ASCII_INFIX.finditer if chunk.isascii() else finditer)(chunk),
        token_match=stock.token_match,
        # A web address has a dot.
        url_match=lambda chunk: match_url(chunk) if "." in chunk else None,
    )
    return language


class SimpleChunks:
    """Divides chunks with simple ends as spaCy would, and says which it cannot."""

    def __init__(self, stock: Any) -> None:
        """Args: `stock`, spaCy's own tokenizer."""
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
        """The first two words of the exceptions that spaCy puts together again where their words stand side by side."""

    def words(self, chunk: str) -> list[str]:
        """The words of a chunk, or none if it is not simple.

        Prefixes and suffixes of one character are stripped; what is left must be no exception and must match `CORE`, so
        that no longer affix is left on it. It is split at infixes, unless it is a web address.
        """
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
                if begin > start:  # an infix right behind another becomes part of the next word, as in spaCy
                    words += core[start:begin], core[begin:end]
                    start = end
        words.append(core[start:])
        words += left[len(core) :]
        if len(words) > 1 and not self._merged.isdisjoint(pairwise(words)):
            # The end of a function's signature, `):`, is an exception that can be put together here.
            simple = words[-2:] == [")", ":"] and len(words) > 2
            if not simple or not self._merged.isdisjoint(pairwise(words[:-1])):
                return []
            words[-2:] = ["):"]
        return words


@lru_cache
def _simple_chunks() -> SimpleChunks:
    return SimpleChunks(english_tokenizer().tokenizer)


def words_of_chunks(chunks: Sequence[str]) -> list[list[str]]:
    """The words of each English chunk; a chunk must have no white space in it."""
    exceptions, divide = english_tokenizer().tokenizer.rules, _simple_chunks().words
    found = [[chunk] if ONE_WORD.fullmatch(chunk) and chunk not in exceptions else divide(chunk) for chunk in chunks]
    others = [place for place, words in enumerate(found) if not words]
    for first in range(0, len(others), CHUNKS_PER_CALL):
        places = others[first : first + CHUNKS_PER_CALL]
        for place, words in zip(places, _spacy_words([chunks[place] for place in places]), strict=True):
            found[place] = words
    return found


def _spacy_words(chunks: Sequence[str]) -> Iterator[list[str]]:
    """The words of each chunk, by spaCy's own tokenizer in one call."""
    from spacy.attrs import ORTH, SPACY  # type: ignore[attr-defined]

    language = english_tokenizer()
    with language.memory_zone():
        array = language.tokenizer(f" {SEPARATOR} ".join(chunks)).to_array([ORTH, SPACY])
        orths: list[int] = array[:, 0].tolist()
        texts = {orth: language.vocab.strings[orth] for orth in set(orths)}
    words = [texts[orth] for orth in orths]
    start = 0
    # A space follows the last word of each chunk, and the separator after it.
    for end in [*(numpy.flatnonzero(array[:, 1])[::2] + 1).tolist(), len(words)]:
        yield words[start:end]
        start = end + 1
