"""`extraction`: facts from a text as a JSON object with given keys; null where the text does not state one.

Difficulty 1 asks for two facts of one subject, 2 for four of which the text may lack one, and 3 for as many of each of
three subjects.
"""

from __future__ import annotations

import json
import random

from pipeline.environments.answers import unfenced
from pipeline.environments.facts import Subject, subjects
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed
from pipeline.environments.structured import parse_json

PARTLY_SCORE = 0.5
"""Most that an object with all keys and some wrong values is worth; it gets the share of right ones of that."""
_ASKS = ("Read the text and reply with JSON.", "Extract the facts as JSON.", "Turn this text into a JSON object.",
         "What does the text state? Reply in JSON.")  # fmt: skip


def _facts(draw: random.Random, subject: Subject, keys: list[str], lacking: str | None) -> tuple[str, dict[str, JSON]]:
    stated = [fact for fact in subject.facts if fact.key in keys and fact.key != lacking]
    draw.shuffle(stated)
    values: dict[str, JSON] = dict.fromkeys(keys)
    values |= {fact.key: fact.value for fact in stated}
    return " ".join(draw.choice((fact.short, fact.long)) for fact in stated), values


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    difficulty = problem_config.difficulty
    kind = draw.choice(("town", "firm", "festival"))
    about = subjects(draw, 3 if difficulty == 3 else 1, kind)
    keys = [fact.key for fact in draw.sample(about[0].facts, 2 if difficulty == 1 else 4)]
    texts, values = [], {}
    for subject in about:
        lacking = draw.choice((None, *keys)) if difficulty > 1 else None
        text, values[subject.name] = _facts(draw, subject, keys, lacking)
        texts.append(text)
    listed = ", ".join(f"{fact.key} ({fact.label})" for fact in about[0].facts if fact.key in keys)
    value: JSON = values if difficulty == 3 else values[about[0].name]
    prompt = f"{draw.choice(_ASKS)} Keys: {listed}."
    if difficulty == 3:
        prompt += f" One object for each {kind}, by its name."
    if difficulty > 1:
        prompt += " What the text does not state is null."
    prompt += f"\n\n{' '.join(texts)}"
    solution = json.dumps(value)
    return Problem("extraction", prompt, solution, solution, {})


def _grade(problem: Problem, completion: str) -> Verdict:
    try:
        value = parse_json(unfenced(completion))
    except ValueError:
        return malformed("not JSON")
    expected = _leaves(json.loads(problem.answer))
    value = _leaves(value)
    if value.keys() != expected.keys():
        return Verdict(0.0, "other keys")
    right = sum(type(value[key]) is type(expected[key]) and value[key] == expected[key] for key in expected)
    if right == len(expected):
        return RIGHT
    # A null is right by chance where nothing is stated: it counts only beside values that were read.
    stated = [key for key in expected if expected[key] is not None]
    share = sum(value[key] == expected[key] for key in stated) / len(stated)
    return Verdict(PARTLY_SCORE * share, f"{len(expected) - right} of {len(expected)} values are wrong")


def _leaves(value: JSON) -> dict[str, JSON]:
    """The values of an object and of the objects in it, by their keys; none of anything else."""
    if not isinstance(value, dict):
        return {}
    leaves: dict[str, JSON] = {}
    for key, inner in value.items():
        leaves |= {f"{key}/{name}": leaf for name, leaf in inner.items()} if isinstance(inner, dict) else {key: inner}
    return leaves


ENVIRONMENT = Environment("extraction", _generate, _grade)
