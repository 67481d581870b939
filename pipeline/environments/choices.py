"""Which of several candidates a text names as its answer: words that are denied or compared with do not count."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.environments.extraction import conclusion, final_texts, statements, words

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|[.,;:!?()\n=>—]|[^\s\w]")
_NEGATORS = frozenset({"not", "no", "never", "neither", "nor", "cannot", "without", "unlike", "except", "instead"})
_COMPARERS = frozenset(
    {"than", "ahead", "behind", "after", "before", "from", "follows", "following", "precedes", "preceding"}
)
"""What stands behind them is what an answer is held against: "older than Tom", "the day after Monday"."""
_BREAKS = frozenset(".,;:!?()\n=>—") | {"but"}
_VERBS = frozenset({"is", "are", "was", "be", "becomes", "comes", "means", "equals", "gives", "would", "must", "="})
_ALIASES = {"yes": "true", "correct": "true", "right": "true", "no": "false", "incorrect": "false", "wrong": "false"}
"""What may stand for the candidates true and false at the beginning of a text that names neither."""
MIN_SENTENCE_WORDS = 3
"""Words of a last sentence that decides between candidates named before it: "Red. Blue." is a list and no answer."""


def chosen(text: str, candidates: Iterable[str], exact: bool = False) -> set[str]:
    """The candidates that a text gives as its answer: one, or several or none if it does not settle on one.

    A box decides, else what follows "the answer is", a word in bold, the end. Among several the last sentence decides,
    in it what follows "so", or the last "is". "Not true" is false where there are two candidates.

    Args:
        text: what a model replies.
        candidates: single words, found in any case and in the plural; single letters are found as capitals alone.
        exact: find them as they are written and not otherwise.

    Returns:
        Candidates as they were given, or in lower case unless `exact`.
    """
    given = set(candidates) if exact else {each.upper() if len(each) == 1 else each.casefold() for each in candidates}
    found: set[str] = set()
    for place in final_texts(text):
        found = _settled(place, given, exact)
        if len(found) == 1:
            break
    return found if exact else {each.casefold() for each in found}


def _settled(text: str, given: set[str], exact: bool) -> set[str]:
    stated = statements(text)
    named = _affirmed("\n".join(stated), given, exact)
    if len(named) <= 1:
        return named
    last = stated[-1]
    if len(words(last)) >= MIN_SENTENCE_WORDS:
        for part in (last, conclusion(last), _behind_last_verb(conclusion(last))):
            within = _affirmed(part, given, exact)
            if len(within) == 1:
                return within
    return named


def _affirmed(text: str, given: set[str], exact: bool) -> set[str]:
    """The candidates that a text names without denying them or comparing with them."""
    named: set[str] = set()
    denied: set[str] = set()
    compared: set[str] = set()
    tokens = _TOKEN.findall(text)
    scope = named
    for token in tokens:
        word = token.casefold().replace("’", "'")
        if word in _BREAKS or (scope is compared and word in _VERBS):
            scope = named
        elif word in _NEGATORS or word.endswith("n't"):
            scope = denied
        elif word in _COMPARERS:
            scope = compared
        elif (candidate := _candidate(token, word, given, exact)) is not None:
            scope.add(candidate)
    if not named and len(given - denied) == 1:
        return given - denied
    if not named and not denied and given == {"true", "false"} and tokens:
        return {_ALIASES[first]} if (first := tokens[0].casefold()) in _ALIASES else set()
    return named


def _candidate(token: str, word: str, given: set[str], exact: bool) -> str | None:
    owner = token.removesuffix("'s").removesuffix("’s")
    forms = (
        (token, owner)
        if exact
        else (owner, word, word.removesuffix("'s"), word.removesuffix("s"), word.removesuffix("es"))
    )
    return next((form for form in forms if form in given), None)


def _behind_last_verb(sentence: str) -> str:
    parts = re.split(r"\b(?:is|are|was|be|becomes|means|equals|gives)\b|[=:→]|->|=>", sentence)
    return parts[-1]
