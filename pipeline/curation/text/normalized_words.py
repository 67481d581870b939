"""Divides texts into the words by which they are compared: without case, punctuation and variants of characters.

Digits are words too. Each word comes with its span in the original text, so that a match can be cut out of it.
"""

import re
import unicodedata

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts written without spaces (Japanese syllables, Chinese characters): each character is a word."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_CHUNK = re.compile(r"\S+")
_MAXIMUM_MARKS = 30
"""Combining marks on one character. No language has more (UAX #15, stream-safe text), and more would cost quadratic
time."""
_JOINING = (("\u1160", "\u11ff"), ("\uff9e", "\uff9f"), ("\uffa0", "\uffdc"))
"""Ranges of letters that compose with the one before: Hangul vowels and finals, halfwidth sound marks and Hangul."""

Span = tuple[int, int]
"""Start and end of a part of a text, in characters."""


def normalized_words(text: str) -> tuple[list[str], list[Span]]:
    """The words of a text in NFKC and without case, and the span of each in the text as given."""
    if text.isascii():
        return _match_words(text.lower(), 0)
    words: list[str] = []
    spans: list[Span] = []
    for chunk in _CHUNK.finditer(text):
        piece = chunk.group()
        more, positions = (
            _match_words(piece.lower(), chunk.start()) if piece.isascii() else _normalized_words(piece, chunk.start())
        )
        words += more
        spans += positions
    return words, spans


def _match_words(lowered: str, offset: int) -> tuple[list[str], list[Span]]:
    matches = list(_WORD.finditer(lowered))
    return [match.group() for match in matches], [(offset + match.start(), offset + match.end()) for match in matches]


def _normalized_words(piece: str, offset: int) -> tuple[list[str], list[Span]]:
    """Words and spans of a piece without white space that is not ASCII.

    Normalization can make one character several, or several one. The piece is therefore normalized in groups of a
    character and what composes with it, and every resulting letter has the span of its group.
    """
    folded = piece.casefold()
    # Most pieces are normalized already and have no invisible characters: letters keep their positions.
    if (
        len(folded) == len(piece)
        and piece.isprintable()
        and all(unicodedata.is_normalized("NFKC", each) for each in (piece, folded))
    ):
        return _match_words(folded, offset)
    letters: list[str] = []
    letter_spans: list[Span] = []
    start = 0
    while start < len(piece):
        end = start + 1
        while end < len(piece) and end - start <= _MAXIMUM_MARKS and _joins(piece[end]):
            end += 1
        # Invisible format characters such as the soft hyphen are no part of a word.
        visible = "".join(letter for letter in piece[start:end] if unicodedata.category(letter) != "Cf")
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
        letters.append(folded)
        letter_spans += [(offset + start, offset + end)] * len(folded)
        start = end
    matches = list(_WORD.finditer("".join(letters)))
    return (
        [match.group() for match in matches],
        [(letter_spans[match.start()][0], letter_spans[match.end() - 1][1]) for match in matches],
    )


def _joins(letter: str) -> bool:
    return unicodedata.category(letter) in ("Mn", "Mc", "Me", "Cf") or any(a <= letter <= b for a, b in _JOINING)
