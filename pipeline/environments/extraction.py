"""Finding the answer in free text: the first half of a verifier, and nothing that knows which answer is right.

Models put an answer at the end of their reasoning, into a box, behind "the answer is", in bold, into a code fence, into
an equation, or before a remark. Every function takes any text, and works in time that grows linearly with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

DOES_NOT_KNOW = "I do not know."
"""How the training data of this project say that an answer is not known."""

MIN_REPEATED_CHARACTERS = 8
"""A shorter prompt may stand in an answer without being repeated."""
MAX_FINAL_CHARACTERS = 400
"""Longest stretch behind a cue or in a box that is looked at for a number or a word."""

_WORD = re.compile(r"[^\W\d_]+")
_BRACES = re.compile(r"\\[{}]|\\(?:boxed|fbox)\s*\{|[{}]")
_UNBRACED_BOX = re.compile(r"\\boxed\s+([^\s{}$]+)")
_CUE = re.compile(
    r"####|\banswers?\b(?:[^.\n:=#]{0,60}?\b(?:is|are|was|equals)\b|[ *_]{0,4}(?:\([^()\n]{0,30}\))?[ *_]{0,4}[:=])",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)(?:\n[ \t]*)?```", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])[*_`\"')\]]*\s+|\n+")
_DENIAL = re.compile(r"(?:\b(?:not|never|no)|n['’]t)\s+(?:[^\W\d_]+\s+){0,2}(?:[$*(\\{]|boxed|fbox)*$")
_QUERY = re.compile(r"select\s[^;]*?\sfrom\s", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*|__([^_\n]{1,80})__")
_CONCLUSION = re.compile(r"\b(?:so|therefore|thus|hence|consequently|conclusion)\b", re.IGNORECASE)


def words(text: str) -> list[str]:
    """The lower-case words of a text in order, without digits and punctuation."""
    return _WORD.findall(text.casefold())


def abstains(text: str) -> bool:
    """Whether the first 200 characters say that the answer is not known."""
    said = " ".join(words(text[:200]))
    return any(phrase in said for phrase in ("not know", "don t know", "not sure"))


def reply(text: str, prompt: str = "") -> str:
    """What a model says after its thinking, without the prompt if it repeats that word for word.

    It is all behind the last `</think>`, and nothing if a `<think>` has no end.
    """
    _, _, after = text.rpartition("</think>")
    if "<think>" in after:
        return ""
    return after.replace(prompt, " ") if len(prompt) >= MIN_REPEATED_CHARACTERS else after


def denied(before: str) -> bool:
    """Whether the few words before an answer deny it, as "it is not" does."""
    return bool(_DENIAL.search(before))


def is_another_form(text: str) -> bool:
    """Whether a text is a JSON object or list of several values, or an SQL query: data or code, and no answer in words
    or figures, whichever values it has in it."""
    text = unfenced(text)
    if _QUERY.match(text):
        return True
    if not text.startswith(("{", "[")):
        return False
    try:
        value = orjson.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict | list) and len(value) > 1


def unfenced(text: str) -> str:
    """What stands in the last Markdown code fence of a text, or all of it if there is none."""
    blocks = _FENCE.findall(text)
    return (blocks[-1] if blocks else text).strip()


def boxed(text: str) -> str | None:
    """What stands in the last `\\boxed{}` with balanced braces, in the innermost of nested ones; None without one.

    A box behind "not" is none.
    """
    opened: list[int | None] = []
    boxes: list[tuple[int, int]] = []
    for token in _BRACES.finditer(text):
        found = token.group()
        if found == "}":
            start = opened.pop() if opened else None
            if start is not None and not denied(text[max(0, start - 50) : start]):
                boxes.append((start, token.start()))
        elif found not in (r"\{", r"\}"):
            opened.append(token.end() if len(found) > 1 else None)
    if not boxes:
        bare = _UNBRACED_BOX.findall(text)
        return bare[-1] if bare else None
    return text[slice(*max(boxes))].strip()


def behind_cue(text: str) -> str | None:
    """The line that follows the last "the answer is", "Answer:" or "####"; None if there is none."""
    cues = list(_CUE.finditer(text))
    for cue in reversed(cues):
        rest = text[cue.end() : cue.end() + MAX_FINAL_CHARACTERS].lstrip(" \t\r\n*_:=")
        if line := rest.split("\n", 1)[0].strip():
            return line
    return None


def sentences(text: str) -> list[str]:
    """The sentences of a text, divided at line ends and behind full stops that a space follows."""
    return [each for each in map(str.strip, _SENTENCE_END.split(text)) if each]


def statements(text: str) -> list[str]:
    """The sentences of a text that are no questions: who asks has not answered."""
    return [each for each in sentences(text) if not each.rstrip("*_`\"')").endswith("?")]


def bold(text: str) -> list[str]:
    """The stretches of a text that Markdown sets in bold."""
    return [(first or second).strip() for first, second in _BOLD.findall(text)]


def conclusion(sentence: str) -> str:
    """The part of a sentence behind its last "so", "therefore" or the like, or all of it."""
    return _CONCLUSION.split(sentence)[-1]


def final_texts(text: str) -> Iterator[str]:
    """Where an answer is looked for, the surest place first: in a box, behind a cue, in bold at the end, everywhere."""
    if (found := boxed(text)) is not None:
        yield found
        return
    if (found := behind_cue(text)) is not None:
        yield found
    yield from (each for each in bold("".join(sentences(text)[-1:]))[-1:])
    yield text
