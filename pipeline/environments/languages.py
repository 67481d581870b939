"""Which of twelve languages a short text is in: those of Granite 4.1's post-training.

Writing decides for four of them, common words for the others. It is made for a sentence or two of plain prose, and says
nothing of a single word.
"""

from __future__ import annotations

import re
from collections import Counter

_SCRIPTS = {
    "ja": (re.compile(r"[\u3040-\u30ff]"), 0.3),
    "ko": (re.compile(r"[\uac00-\ud7af]"), 0.5),
    "ar": (re.compile(r"[\u0620-\u064a]"), 0.5),
    "zh": (re.compile(r"[\u4e00-\u9fff]"), 0.5),
}
"""Characters of languages that have a writing of their own, with the share of a text's letters from which it is in that
language. Japanese, which has Chinese characters too, comes first."""
_COMMON_WORDS = {
    "en": "the a an of to and is are it i you in that for with what do does my me not on this be have like as at by we "
          "can about or more they there would your",
    "de": "der die das den dem ein eine einen ist sind und ich du mir mich nicht zu mit auf für was von es sie wir "
          "auch mag wie über oder mehr im am daran gern sehr dich dir",
    "es": "el la los las un una es son y yo tú me mi que de en por con para qué no lo se gusta te sobre más como muy "
          "al del o piensas está",
    "fr": "le la les un une des est sont et je tu me mon que de en pour avec ce il elle ne pas qu j l d aime sur plus "
          "comme très au du ou penses vous nous",
    "pt": "o a os as um uma é são e eu tu me meu que de em por com para não do da no na gosto sobre mais como muito ao "
          "ou você acha está dos das",
    "it": "il lo la i gli le un una è sono e io tu mi che di in per con non del della al mio piace su più come molto o "
          "pensi si ne ci dei delle",
    "nl": "de het een is zijn en ik je jij mij niet te met op voor wat van er wij ook hou over of meer in aan daar "
          "graag heel vind leuk dat",
    "cs": "je jsou a já ty mi se na v o s co to ten ta že si za do ale jak jako nebo více velmi mám rád ráda líbí "
          "podle tebe myslíš pro",
}  # fmt: skip
_BY_WORD = {language: frozenset(words.split()) for language, words in _COMMON_WORDS.items()}
LANGUAGES = (*_COMMON_WORDS, *_SCRIPTS)
"""The codes that `language_of` gives."""
_LETTERS = re.compile(r"[^\W\d_]")
_WORDS = re.compile(r"[^\W\d_]+")


def language_of(text: str) -> str | None:
    """The code of a text's language, or None where nothing, or more than one, speaks for any."""
    letters = len(_LETTERS.findall(text))
    for language, (script, share) in _SCRIPTS.items():
        if letters and len(script.findall(text)) >= share * letters:
            return language
    said = Counter(_WORDS.findall(text.casefold()))
    found = {language: sum(said[word] for word in words) for language, words in _BY_WORD.items()}
    most = max(found.values())
    first = [language for language, count in found.items() if count == most]
    return first[0] if most and len(first) == 1 else None
