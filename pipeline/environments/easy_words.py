"""Words that problems of difficulty 1 are about: those of training, and those of new instances alone.

There are many of them, so that what a model of a million parameters learns is to look at the prompt: of some hundred
prompts it learns each by heart.
"""

from __future__ import annotations

import itertools
import random

_LETTERS = ("bdfglmnprtvz", "aeiou", "bdlmnpvz")
"""First, second and third letters of an invented word, so that few are words, and none one that a sentence, a query or
a polite person would mind."""
INVENTED_SHARE = 0.5
"""Share of words that nobody knows: what is said of such can only be read in the prompt."""
NEW_INVENTED = 5
"""Of the invented words every so many-th is one of new instances alone."""


def _syllables(new: bool) -> tuple[str, ...]:
    """Those of training or of new instances; both have every letter in every place."""
    return tuple(
        "".join(letter for _, letter in letters)
        for letters in itertools.product(*map(enumerate, _LETTERS))
        if (sum(number for number, _ in letters) % NEW_INVENTED == 0) == new
    )


_SYLLABLES, _NEW_SYLLABLES = _syllables(new=False), _syllables(new=True)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NO_PLURAL = _words("sheep fish mouse child man woman rice corn milk bread snow leaf wolf")
NOUNS = _words(
    "cat dog cow hen fox pig horse goat sheep duck frog lion mouse tiger snake sun moon tree fish book rain star road "
    "milk bird wind snow train plane table chair house garden river hill wood pen cup plate bread apple plum rice "
    "corn bean nut cake shirt shoe sock box bag roof floor gate step path field farm town child man woman boy girl "
    "friend doctor sailor baker farmer teacher"
)
"""Animals, things and people."""
NEW_NOUNS = _words(
    "owl bee ant rat bat elk lamp stone door hand leaf ship bell salt fire king sand wolf spoon ladder brush rope "
    "glove ring clock key wall lake queen nurse"
)
QUALITIES = _words(
    "red blue green black white yellow big small old new hot cold soft hard fast slow wet dry long short dark clean "
    "strong happy"
)
"""What may be said of a noun in one word."""
NEW_QUALITIES = _words("gray brown gold purple orange silver young warm light weak sad thin")
NAMES = _words(
    "Tom Ann Bob Sue Max Eve Ben Kim Amy Art Bill Carl Cora Dan Dora Ed Ella Emma Finn Fred Gina Gus Hans Ian Ivan "
    "Jack Jane Jim John Karl Kate Ken Lena Liz Lou Luke Mark Mary Ned Nina Nora Otto Pam Pete Ray Rita Rob Ruth Sam "
    "Sara Tim Tina Tony Walt Will Zoe"
)
"""First names."""
NEW_NAMES = _words(
    "Ida Leo Mia Noah Olga Paul Rosa Sven Adam Beth Dave Fay Greg Hugo Iris June Kurt Lara Mike Nick Phil Rose"
)


def plurals(nouns: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the nouns that have one with an s, in it."""
    ended = ((noun, noun.endswith(("s", "sh", "ch", "x"))) for noun in nouns if noun not in _NO_PLURAL)
    return tuple(noun + ("es" if hisses else "s") for noun, hisses in ended)


def known_or_invented(draw: random.Random, known: tuple[str, ...], new: bool = False, plural: bool = False) -> str:
    """One of the words, or a syllable that is none of them, with a capital as they have.

    Args:
        draw: everything random comes from it.
        known: the words.
        new: take a syllable of new instances.
        plural: put an s after a syllable, as the words have.
    """
    if draw.random() >= INVENTED_SHARE:
        return draw.choice(known)
    word = draw.choice(_NEW_SYLLABLES if new else _SYLLABLES)
    word = word.capitalize() if known[0][0].isupper() else word
    return word + "s" if plural else word
