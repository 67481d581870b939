"""Verifiers for prompts of one's own, by the name that a row gives: each reads the row's answer and `spec`.

A row may also name an environment, whose verifier then takes the row's `spec`, or one of its own as `module:NAME`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, SchemaError

from pipeline.environments.answers import as_number, candidates, grade_choice, grade_number, unfenced, words
from pipeline.environments.constraints import fault_of, meets
from pipeline.environments.extraction import behind_cue, bold, boxed, reply
from pipeline.environments.problem import RIGHT, WRONG, Grade, Problem, Verdict, malformed
from pipeline.environments.structured import parse_json

REWARD_MODEL = "reward_model"
"""Verifier of prompts that the reward model rewards; it only looks whether there is a reply."""
MAX_SPEC_CHARACTERS = 10_000
UNBOUNDED = ("$ref", "$dynamicRef", "pattern", "patternProperties", "uniqueItems", "unevaluatedItems",
             "unevaluatedProperties")  # fmt: skip
"""Keywords of JSON Schema whose check may take time without bound, or read a file or an address."""


@dataclass(frozen=True)
class Verifier:
    """How completions are graded, and what a problem must have for that."""

    grade: Grade
    check: Callable[[Problem], str | None]
    """A problem → what is wrong with its answer or spec, with the remedy; None if it can be used."""


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip("*_`\"'").removesuffix(".").strip("*_`\"'")


def _grade_exact(problem: Problem, completion: str) -> Verdict:
    text = reply(completion, problem.prompt)
    if not text.strip():
        return malformed("empty")
    answer = _folded(problem.answer)
    if (marked := boxed(text) or behind_cue(text)) is not None:
        return RIGHT if _folded(marked) == answer else WRONG
    return RIGHT if answer in (_folded(text), *map(_folded, bold(text)[-1:])) else WRONG


def _check_number(problem: Problem) -> str | None:
    return None if as_number(problem.answer) is not None else f"answer {problem.answer!r} is no number, set one"


def _check_exact(problem: Problem) -> str | None:
    return None if _folded(problem.answer) else "answer is empty, set it"


def _check_choice(problem: Problem) -> str | None:
    listed = candidates(problem)
    if len(listed) < 2 or any(words(each) != [each] for each in listed):
        return "spec.candidates is no list of two or more single words, set it"
    return None if problem.answer.casefold() in listed else f"answer {problem.answer!r} is not among spec.candidates"


def _grade_json(problem: Problem, completion: str) -> Verdict:
    try:
        value = parse_json(unfenced(completion))
    except ValueError:
        return malformed("not JSON")
    return RIGHT if value == json.loads(problem.answer) else Verdict(0.0, "other JSON")


def _check_json(problem: Problem) -> str | None:
    try:
        parse_json(problem.answer)
    except ValueError as error:
        return f"answer is not JSON ({error}), set the JSON that is right"
    return None


def _schema(problem: Problem) -> Any:
    """The schema in `spec`, else the answer as one."""
    return problem.spec["schema"] if "schema" in problem.spec else json.loads(problem.answer)


def _grade_schema(problem: Problem, completion: str) -> Verdict:
    try:
        value = parse_json(unfenced(completion))
    except ValueError:
        return malformed("not JSON")
    if Draft202012Validator(_schema(problem)).is_valid(value):
        return RIGHT
    return Verdict(0.0, "JSON of another schema")


def _check_schema(problem: Problem) -> str | None:
    try:
        schema = _schema(problem)
        Draft202012Validator.check_schema(schema)
    except ValueError:
        return "neither spec.schema nor answer is a JSON schema, set one"
    except SchemaError as error:
        return f"the schema is none ({' '.join(error.message.split()):.100}), correct it"
    if len(json.dumps(schema)) > MAX_SPEC_CHARACTERS:
        return f"the schema has more than {MAX_SPEC_CHARACTERS:,} characters, set a smaller one"
    found = [key for key in UNBOUNDED if key in _keys(schema)]
    return (
        f"the schema has {found[0]}, whose check has no bound in time; write it out or leave it away" if found else None
    )


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


CONSTRAINTS: dict[str, tuple[tuple[type, ...], Callable[[str, Any], bool]]] = {
    "include": ((str, list), lambda text, given: all(each.casefold() in text.casefold() for each in _texts(given))),
    "exclude": ((str, list), lambda text, given: not any(each.casefold() in text.casefold() for each in _texts(given))),
    "begins_with": ((str,), lambda text, given: text.lstrip().startswith(given)),
    "ends_with": ((str,), lambda text, given: text.rstrip().endswith(given)),
    "minimum_words": ((int,), lambda text, given: len(text.split()) >= given),
    "maximum_words": ((int,), lambda text, given: len(text.split()) <= given),
    "lines": ((int,), lambda text, given: len([line for line in text.splitlines() if line.strip()]) == given),
    "uppercase": ((bool,), lambda text, given: (text == text.upper()) == given),
    "lowercase": ((bool,), lambda text, given: (text == text.lower()) == given),
}
"""By key of `spec`: the types of its value, and whether a text meets it."""


def _grade_instructions(problem: Problem, completion: str) -> Verdict:
    completion = reply(completion)
    if not completion.strip():
        return malformed("empty")
    failed = [key for key, value in problem.spec.items() if not CONSTRAINTS[key][1](completion, value)]
    return Verdict(1 - len(failed) / len(problem.spec), f"not {failed[0]}" if failed else "right")


def _check_instructions(problem: Problem) -> str | None:
    if not problem.spec:
        return f"spec is empty, set one or more of {', '.join(CONSTRAINTS)}"
    for key, value in problem.spec.items():
        if key not in CONSTRAINTS:
            return f"spec has {key}, set one or more of {', '.join(CONSTRAINTS)}"
        types = CONSTRAINTS[key][0]
        texts = not isinstance(value, list) or all(isinstance(each, str) and each for each in value)
        if type(value) not in types or not texts:
            return f"spec.{key} is {json.dumps(value):.50}, set {' or '.join(each.__name__ for each in types)}"
    return None


def _ifeval(problem: Problem) -> list[tuple[Any, Any]]:
    kinds, arguments = problem.spec.get("instruction_id_list"), problem.spec.get("kwargs")
    if isinstance(kinds, list) and arguments is None:
        arguments = [{}] * len(kinds)
    if not isinstance(kinds, list) or not isinstance(arguments, list) or len(kinds) != len(arguments):
        return []
    return [(kind, given or {}) for kind, given in zip(kinds, arguments, strict=True)]


def _grade_ifeval(problem: Problem, completion: str) -> Verdict:
    text = reply(completion)
    if not text.strip():
        return malformed("empty")
    asked = _ifeval(problem)
    failed = [kind for kind, arguments in asked if not meets(kind, text, arguments)]
    return Verdict(1 - len(failed) / len(asked), f"not {failed[0]}" if failed else "right")


def _check_ifeval(problem: Problem) -> str | None:
    asked = _ifeval(problem)
    if not asked:
        return "spec.instruction_id_list and spec.kwargs are no lists of the same length, set a constraint or more"
    if len(json.dumps(problem.spec)) > MAX_SPEC_CHARACTERS:
        return f"spec has more than {MAX_SPEC_CHARACTERS:,} characters, set fewer constraints"
    return next(filter(None, (fault_of(kind, arguments) for kind, arguments in asked)), None)


def _grade_reply(problem: Problem, completion: str) -> Verdict:
    return RIGHT if words(completion) else malformed("no words")


VERIFIERS = {
    "number": Verifier(
        lambda problem, completion: grade_number(completion, problem.answer, problem.prompt), _check_number
    ),
    "exact_match": Verifier(_grade_exact, _check_exact),
    "choice": Verifier(grade_choice, _check_choice),
    "json": Verifier(_grade_json, _check_json),
    "json_schema": Verifier(_grade_schema, _check_schema),
    "instructions": Verifier(_grade_instructions, _check_instructions),
    "ifeval": Verifier(_grade_ifeval, _check_ifeval),
    REWARD_MODEL: Verifier(_grade_reply, lambda problem: None),
}
