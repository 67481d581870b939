"""Invented towns, firms and festivals with facts that no model can know: what is said of them must be read.

Names are put together of syllables, so that there are thousands, none of them of this world on purpose.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

_BEGINNINGS = ("Bar", "Cor", "Dal", "Fen", "Gar", "Hol", "Kel", "Lor", "Mar", "Nor", "Pel", "Quin", "Ros", "Sel", "Tor",
               "Ul", "Ver", "Wil", "Yar", "Zan")  # fmt: skip
_MIDDLES = ("a", "e", "i", "o", "u", "an", "en", "in", "on", "ar")
_ENDINGS = ("berg", "dale", "ford", "lin", "mere", "nik", "port", "rath", "sen", "stad", "tal", "vik", "wick", "zar")
_FIRST_NAMES = ("Ada", "Bruno", "Clara", "Dario", "Elsa", "Felix", "Greta", "Hugo", "Irma", "Jonas", "Karla", "Linus",
                "Mona", "Nils", "Petra", "Oskar")  # fmt: skip
_MONTHS = ("January", "March", "April", "May", "June", "July", "August", "September", "October", "November")
_DISHES = ("plum soup", "barley bread", "smoked trout", "walnut cake", "pear cider", "onion pie", "herb cheese")
_GOODS = ("clocks", "lamps", "boats", "violins", "bicycles", "tents", "kettles", "mirrors")
_COLORS = ("blue", "green", "red", "white", "orange", "purple")


def invented_name(draw: random.Random) -> str:
    """A name of two or three syllables and an ending."""
    return draw.choice(_BEGINNINGS) + draw.choice(_MIDDLES) + draw.choice(_ENDINGS)


def _person(draw: random.Random) -> str:
    return f"{draw.choice(_FIRST_NAMES)} {invented_name(draw)}"


@dataclass(frozen=True)
class _Attribute:
    """What can be said of a subject."""

    label: str
    """What it is called in a request."""
    question: str
    statements: tuple[str, str]
    """Sentences with the subject and the value in braces, the short one first."""
    value: Callable[[random.Random], str | int]


@dataclass(frozen=True)
class Fact:
    """A subject's attribute with its value."""

    key: str
    label: str
    value: str | int
    question: str
    """A question for the value."""
    short: str
    """A short sentence with the value."""
    long: str
    """Another one, longer."""


@dataclass(frozen=True)
class Subject:
    """Something invented, with facts about it."""

    kind: str
    name: str
    facts: tuple[Fact, ...]


_KINDS = {
    "town": {
        "founded": _Attribute("founding year", "In which year was {} founded?",
                              ("{} was founded in {}.", "Records show that {} was founded in {} by salt traders."),
                              lambda draw: draw.randint(1100, 1990)),
        "population": _Attribute("population", "How many people live in {}?",
                                 ("{} has {} inhabitants.", "At the last count {} had {} inhabitants in its walls."),
                                 lambda draw: draw.randint(900, 98_000)),
        "mayor": _Attribute("mayor", "Who is the mayor of {}?",
                            ("The mayor of {} is {}.", "After a close vote the mayor of {} is now {}."), _person),
        "river": _Attribute("river", "Which river flows through {}?",
                            ("The river in {} is the {}.", "Ships reach the harbor of {} over the river {}."),
                            invented_name),
        "dish": _Attribute("dish", "For which dish is {} known?",
                           ("{} is known for {}.", "Visitors come to {} in every season for its {}."),
                           lambda draw: draw.choice(_DISHES)),
    },
    "firm": {
        "opened": _Attribute("opening year", "In which year did {} open?",
                             ("{} opened in {}.", "The workshops of {} opened their doors in {}."),
                             lambda draw: draw.randint(1850, 2020)),
        "staff": _Attribute("number of workers", "How many people work at {}?",
                            ("{} employs {} people.", "Counting all of its branches {} employs {} people."),
                            lambda draw: draw.randint(12, 9_500)),
        "head": _Attribute("head", "Who leads {}?",
                           ("{} is led by {}.", "Since the founder retired {} is led by {}."), _person),
        "product": _Attribute("product", "What does {} make?",
                              ("{} makes {}.", "Most homes in the region know {} as the maker of {}."),
                              lambda draw: f"{draw.choice(_COLORS)} {draw.choice(_GOODS)}"),
        "seat": _Attribute("seat", "Where is the seat of {}?",
                           ("The seat of {} is {}.", "For tax reasons the seat of {} was moved to {}."), invented_name),
    },
    "festival": {
        "month": _Attribute("month", "In which month is the festival of {}?",
                            ("The festival of {} is in {}.", "After the harvest the festival of {} is held in {}."),
                            lambda draw: draw.choice(_MONTHS)),
        "visitors": _Attribute("number of visitors", "How many visitors has the festival of {}?",
                               ("The festival of {} has {} visitors.",
                                "In a dry year the festival of {} welcomes {} visitors."),
                               lambda draw: draw.randint(300, 60_000)),
        "host": _Attribute("host", "Who hosts the festival of {}?",
                           ("The festival of {} is hosted by {}.",
                            "With much humor the festival of {} is hosted by {}."), _person),
        "color": _Attribute("color", "Which color do guests of the festival of {} wear?",
                            ("Guests of the festival of {} wear {}.",
                             "By an old custom guests of the festival of {} all wear {}."),
                            lambda draw: draw.choice(_COLORS)),
        "stage": _Attribute("stage", "On which square is the stage of the festival of {}?",
                            ("The stage of the festival of {} is on {} Square.",
                             "Since the fire the stage of the festival of {} stands on {} Square."), invented_name),
    },
}  # fmt: skip


def subjects(draw: random.Random, count: int, kind: str | None = None) -> list[Subject]:
    """Subjects with all facts of their kind, no two with the same name.

    Args:
        draw: everything random comes from it.
        count: subjects.
        kind: town, firm or festival; None takes any for each.
    """
    found: dict[str, Subject] = {}
    while len(found) < count:
        own, name = kind or draw.choice(tuple(_KINDS)), invented_name(draw)
        facts = []
        for key, attribute in _KINDS[own].items():
            value = attribute.value(draw)
            short, long = (statement.format(name, value) for statement in attribute.statements)
            facts.append(Fact(key, attribute.label, value, attribute.question.format(name), short, long))
        found[name] = Subject(own, name, tuple(facts))
    return list(found.values())


_TERM = re.compile(r"\d+(?:[.,\u202f\u00a0]\d+)*|[^\W\d_][\w'-]*")

_SENTENCE_END = re.compile(r"[\"')\]]?(?:[.!?:]|\s*\n)")


def says(text: str, value: str | int) -> bool:
    """Whether a text has a value: its words in a row, or the number, with or without separators of thousands."""
    wanted, terms = _terms(str(value)), _terms(text)
    return any(terms[place : place + len(wanted)] == wanted for place in range(len(terms) - len(wanted) + 1))


def foreign_terms(text: str, source: str) -> list[str]:
    """Numbers and names of a text that its source does not have; a name is a capital within a sentence."""
    known = set(_terms(source))
    found: list[str] = []
    inside = False
    for match in _TERM.finditer(text):
        term = _normal(match[0])
        if term not in known and (term[0].isdigit() or (match[0][0].isupper() and len(term) > 1 and inside)):
            found.append(match[0])
        # Whether the next term is within a sentence, where a capital makes a name.
        inside = _SENTENCE_END.match(text, match.end()) is None
    return found


def _terms(text: str) -> list[str]:
    return [_normal(term) for term in _TERM.findall(text)]


def _normal(term: str) -> str:
    return re.sub(r"[.,\u202f\u00a0]", "", term) if term[0].isdigit() else term.casefold().removesuffix("'s")
