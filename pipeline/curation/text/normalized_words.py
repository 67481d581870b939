"""Words as texts are compared by: without case, punctuation, white space and Unicode's variants; digits stay.

Each word keeps its place in the text, so that what matches can be cut out.
"""

import re
import unicodedata

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts written without spaces (Japanese syllables, Chinese characters): each character is a word."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_CHUNK = re.compile(r"\S+")
_MOST_MARKS = 30
"""Marks on one character; more are none of a language (UAX #15, stream-safe text), and would cost quadratic time."""
_JOINING = (("\u1160", "\u11ff"), ("\uff9e", "\uff9f"), ("\uffa0", "\uffdc"))
"""Letters that compose with the one before: Hangul vowels and finals, halfwidth sound marks and Hangul."""

Span = tuple[int, int]


def normalized_words(text: str) -> tuple[list[str], list[Span]]:
    """The words of a text in NFKC and without case, and where each lies in the text as given."""
    if text.isascii():
        return _found(text.lower(), 0)
    words: list[str] = []
    spans: list[Span] = []
    for chunk in _CHUNK.finditer(text):
        piece = chunk.group()
        more, places = _found(piece.lower(), chunk.start()) if piece.isascii() else _composed(piece, chunk.start())
        words += more
        spans += places
    return words, spans


def _found(lowered: str, offset: int) -> tuple[list[str], list[Span]]:
    matches = list(_WORD.finditer(lowered))
    return [match.group() for match in matches], [(offset + match.start(), offset + match.end()) for match in matches]


def _composed(piece: str, offset: int) -> tuple[list[str], list[Span]]:
    """Words of a piece without white space. What one character becomes lies where that character was."""
    folded = piece.casefold()
    # Most pieces are normal and have no invisible characters: each letter stays in its place.
    if (
        len(folded) == len(piece)
        and piece.isprintable()
        and all(unicodedata.is_normalized("NFKC", each) for each in (piece, folded))
    ):
        return _found(folded, offset)
    letters: list[str] = []
    places: list[Span] = []
    start = 0
    while start < len(piece):
        end = start + 1
        while end < len(piece) and end - start <= _MOST_MARKS and _joins(piece[end]):
            end += 1
        # Invisible format characters, such as the soft hyphen, are no part of a word.
        visible = "".join(letter for letter in piece[start:end] if unicodedata.category(letter) != "Cf")
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
        letters.append(folded)
        places += [(offset + start, offset + end)] * len(folded)
        start = end
    matches = list(_WORD.finditer("".join(letters)))
    return (
        [match.group() for match in matches],
        [(places[match.start()][0], places[match.end() - 1][1]) for match in matches],
    )


def _joins(letter: str) -> bool:
    return unicodedata.category(letter) in ("Mn", "Mc", "Me", "Cf") or any(a <= letter <= b for a, b in _JOINING)
