"""`structured_output`: a JSON object with given values, from difficulty 2 of a given schema."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

from jsonschema import Draft202012Validator

from pipeline.environments.answers import unfenced
from pipeline.environments.easy_words import NAMES, NEW_NAMES, known_or_invented
from pipeline.environments.extraction import reply
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

MAX_DEPTH = 16
"""Deepest nesting that is read, so that the recursion of parser and validator stays far from Python's limit."""
PARTLY_SCORE = 0.5
"""Score of an object of the right schema for each of its values that is right, by their share: where form alone earned
some, reinforcement learning raised replies with wrong values."""


@dataclass(frozen=True)
class _Words:
    """What records are about."""

    names: tuple[str, ...]
    ages: tuple[int, int]
    """The smallest and the largest."""
    cities: tuple[str, ...]
    items: tuple[str, ...]
    colors: tuple[str, ...]
    prices: tuple[int, int]
    days: tuple[str, ...]


_TRAINED = _Words(
    names=("Tom", "Ann", "Bob", "Sue", "Max", "Eve", "Ben", "Kim"),
    ages=(1, 9),
    cities=("Rome", "Paris", "Berlin", "Madrid", "Vienna", "Oslo"),
    items=("lamp", "chair", "coat", "clock", "mug", "tent", "scarf", "drum", "kite", "vase"),
    colors=("red", "blue", "green", "black", "white", "brown"),
    prices=(1, 99),
    days=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
)
_NEW = _Words(
    names=("Ida", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sven"),
    ages=(10, 99),
    cities=("Lima", "Cairo", "Dublin", "Prague", "Athens", "Tokyo"),
    items=("spoon", "ladder", "brush", "plate", "bench", "rope", "glove", "flute", "wagon", "stool"),
    colors=("gray", "pink", "purple", "orange", "yellow", "silver"),
    prices=(100, 999),
    days=("Saturday", "Sunday"),
)
"""Of new instances alone."""
_EASY, _NEW_EASY = replace(_TRAINED, names=NAMES, ages=(1, 99)), replace(_NEW, names=NEW_NAMES, ages=(1, 99))
"""Those of difficulty 1."""
_AROUND = {
    "nothing": "Reply with one JSON object and nothing else, no code fence either.",
    "in_fence": "Reply with one JSON object in a code fence; a sentence may stand before it.",
    "prose": "Reply with one JSON object; explain it in a sentence if you like.",
}
"""What may stand around the object; at difficulty 1, where nothing is said of it, a code fence (`fence`)."""
_FENCE = re.compile(r"```[a-z]*\n(.*?)\n?```", re.DOTALL)
_QUESTIONS = (
    "Give JSON with name {} and age {}.",
    "Write JSON: name {}, age {}.",
    "As JSON: {} is {} years old.",
    "{} is {}. Reply in JSON.",
    "JSON for {}, {} years old.",
    "Make JSON of {} at {}.",
)


def _person(draw: random.Random, words: _Words) -> dict[str, JSON]:
    return {"name": draw.choice(words.names), "age": draw.randint(*words.ages)}


def _schema(value: JSON) -> dict[str, JSON]:
    """The strictest schema of a value's types: all keys required, no others allowed."""
    if isinstance(value, dict):
        return {
            "type": "object",
            "properties": {key: _schema(child) for key, child in value.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        return {"type": "array", "items": _schema(value[0]) if value else {}}
    return {"type": "integer" if isinstance(value, int) else "string"}


def _product(draw: random.Random, words: _Words) -> dict[str, JSON]:
    return {
        "item": draw.choice(words.items),
        "color": draw.choice(words.colors),
        "price": draw.randint(*words.prices),
    }


def _trip(draw: random.Random, words: _Words) -> dict[str, JSON]:
    start, end = draw.sample(words.cities, 2)
    return {"from": start, "to": end, "day": draw.choice(words.days), "seats": draw.randint(1, 9)}


def _resident(draw: random.Random, words: _Words) -> dict[str, JSON]:
    return {**_person(draw, words), "city": draw.choice(words.cities)}


_RECORDS: dict[str, tuple[Callable[[random.Random, _Words], dict[str, JSON]], str]] = {
    "friends": (_resident, "{name}, {age}, lives in {city}."),
    "orders": (_product, "A {color} {item} costs {price}."),
    "trips": (_trip, "On {day} from {from} to {to}, {seats} seats."),
}
"""Kinds of record by the key of a list of more: what makes one, and how it is told."""


def _generate(draw: random.Random, problem_config: ProblemConfig, new: bool = False) -> Problem:
    words = _NEW if new else _TRAINED
    if problem_config.difficulty == 1:
        value = _person(draw, _NEW_EASY if new else _EASY)
        value["name"] = known_or_invented(draw, NEW_NAMES if new else NAMES, new)
        prompt = draw.choice(_QUESTIONS).format(value["name"], value["age"])
        around = "fence"
    else:
        key = draw.choice(tuple(_RECORDS))
        make, told = _RECORDS[key]
        value = make(draw, words)
        prompt = told.format(**value)
        if problem_config.difficulty == 3:
            more = [make(draw, words) for _ in range(draw.randint(1, 3))]
            value[key] = [*more]
            prompt += f" Further {key}, in this order: " + " ".join(told.format(**each) for each in more)
        around = draw.choice(tuple(_AROUND))
        prompt += f" {_AROUND[around]} Its schema: {json.dumps(_schema(value))}"
    solution = json.dumps(value)
    shown = f"```json\n{solution}\n```" if around == "in_fence" else solution
    return Problem("structured_output", prompt, solution, shown, {"schema": _schema(value), "around": around})


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _generate(draw, problem_config, new=True)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def parse_json(text: str) -> JSON:
    """The JSON value of a text.

    Raises:
        ValueError: if it is not JSON, gives a key twice, or nests deeper than MAX_DEPTH.
    """
    depth = deepest = 0
    # Brackets inside strings are counted as well: in doubt a text is rejected.
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise ValueError(f"nests deeper than {MAX_DEPTH}")
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)


def _json_in(text: str, around: str) -> str | None:
    """The part of a reply that is to be JSON, or None if the reply does not have the form that was asked for."""
    text = text.strip()
    if around == "nothing":
        return text
    if around == "fence":
        return unfenced(text)
    fences = _FENCE.findall(text)
    if around == "in_fence":
        return fences[0] if len(fences) == 1 else None
    begin, end = text.find("{"), text.rfind("}")
    return fences[-1] if fences else text[begin : end + 1]


def _leaves(value: JSON, at: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], JSON]:
    """The values in an object or list, by their paths; one that is empty is a value itself."""
    children: dict[str, JSON] | dict[int, JSON] | None = (
        value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else None
    )
    if not children:
        return {at: value}
    return {path: leaf for key, child in children.items() for path, leaf in _leaves(child, (*at, key)).items()}


def _grade(problem: Problem, completion: str) -> Verdict:
    text = _json_in(reply(completion), str(problem.spec.get("around", "fence")))
    if text is None:
        return malformed("not in one code fence")
    try:
        value = parse_json(text)
    except ValueError:
        return malformed("not JSON")
    schema = problem.spec["schema"]
    assert isinstance(schema, dict)
    if value == schema:
        return Verdict(0.0, "the schema instead of an object")
    if not Draft202012Validator(schema).is_valid(value):
        return Verdict(0.0, "JSON of another schema")
    expected = json.loads(problem.answer)
    if value == expected:
        return RIGHT
    found, wanted = _leaves(value), _leaves(expected)
    right = sum(key in found and found[key] == wanted[key] for key in wanted)
    return Verdict(PARTLY_SCORE * right / len({**found, **wanted}), f"{right} of {len(wanted)} values are right")


ENVIRONMENT = Environment("structured_output", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
