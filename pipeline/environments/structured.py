"""`structured_output`: a JSON object with given values, from difficulty 2 of a given schema."""

from __future__ import annotations

import json
import random
from typing import NoReturn

from jsonschema import Draft202012Validator

from pipeline.environments.answers import unfenced
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

MAX_DEPTH = 16
"""Deepest nesting that is read, so that the recursion of parser and validator stays far from Python's limit."""
PARSES_SCORE, FITS_SCHEMA_SCORE = 0.25, 0.5
"""Scores of JSON with another schema, and of the right schema with other values: chosen so that both are steps on the
way and neither is worth staying at."""

_NAMES = ("Tom", "Ann", "Bob", "Sue", "Max", "Eve", "Ben", "Kim")
_CITIES = ("Rome", "Paris", "Berlin", "Madrid", "Vienna", "Oslo")
_QUESTIONS = (
    "Give JSON with name {} and age {}.",
    "Write JSON: name {}, age {}.",
    "As JSON: {} is {} years old.",
    "{} is {}. Reply in JSON.",
)


def _person(draw: random.Random) -> dict[str, JSON]:
    return {"name": draw.choice(_NAMES), "age": draw.randint(1, 9)}


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


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    value = _person(draw)
    if problem_config.difficulty == 1:
        prompt = draw.choice(_QUESTIONS).format(value["name"], value["age"])
    else:
        value["city"] = draw.choice(_CITIES)
        prompt = f"{value['name']}, {value['age']}, lives in {value['city']}."
        if problem_config.difficulty == 3:
            friends = [_person(draw) for _ in range(draw.randint(1, 3))]
            value["friends"] = list(friends)
            told = ", ".join(f"{friend['name']} ({friend['age']})" for friend in friends)
            prompt += f" Friends, in this order: {told}."
        schema = json.dumps(_schema(value))
        prompt += f" Reply with one JSON object of this schema: {schema}"
    solution = json.dumps(value)
    return Problem("structured_output", prompt, solution, solution, {"schema": _schema(value)})


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


def _grade(problem: Problem, completion: str) -> Verdict:
    try:
        value = parse_json(unfenced(completion))
    except ValueError:
        return malformed("not JSON")
    schema = problem.spec["schema"]
    assert isinstance(schema, dict)
    if not Draft202012Validator(schema).is_valid(value):
        return Verdict(PARSES_SCORE, "JSON of another schema")
    return RIGHT if value == json.loads(problem.answer) else Verdict(FITS_SCHEMA_SCORE, "other values")


ENVIRONMENT = Environment("structured_output", _generate, _grade)
