"""Tool calls held against the tools that were offered and the schemas of their parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry

from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.violation import MAXIMUM_EVIDENCE, Violation

RULE = "tool_calls"
OTHER_NAMES = {
    "str": "string", "int": "integer", "float": "number", "bool": "boolean", "dict": "object", "list": "array",
    "tuple": "array",
}  # fmt: skip
"""Types that data sets write by their names in Python, and what JSON Schema calls them."""
MOST_REFERENCES = 1_000
"""References that are followed for one call: a few lines of schema can ask for more than there is time."""
TRUTH = {"true": True, "True": True, "false": False, "False": False}


def _ignored(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Regular expressions of a data set are not run: one can take for ever."""
    yield from ()


_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many(
    {
        **{name: lambda checker, value, to=to: checker.is_type(value, to) for name, to in OTHER_NAMES.items()},
        "any": lambda checker, value: True,
    }
)


def check_tool_calls(conversation: Conversation) -> Violation | None:
    """Rejects a call of a tool that is not offered, or whose arguments do not fit the schema of its parameters."""
    calls = list(_calls(conversation))
    if not calls:
        return None
    offered = _offered(conversation)
    for name, text in calls:
        if name not in offered:
            return Violation(RULE, "calls a tool that is not offered", name, ", ".join(offered) or "none")
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError):
            return Violation(RULE, "arguments are not JSON", text[:MAXIMUM_EVIDENCE], name)
        if not isinstance(arguments, dict):
            return Violation(RULE, "arguments are not an object", text[:MAXIMUM_EVIDENCE], name)
        if fault := _fault(arguments, offered[name]):
            return Violation(RULE, fault, text[:MAXIMUM_EVIDENCE], name)
    return None


def with_typed_arguments(conversation: Conversation) -> Conversation:
    """The conversation with numbers and truth values that calls give as text, where the tool's schema wants them so.

    Only what can mean nothing else is changed: `"5"` for an integer, `"true"` for a boolean.
    """
    if not conversation.tools or not any(message.get("tool_calls") for message in conversation.messages):
        return conversation
    offered = _offered(conversation)
    messages = []
    for message in conversation.messages:
        calls = [
            {**call, "function": {**call["function"], "arguments": _typed(call["function"], offered)}}
            for call in message.get("tool_calls", ())
        ]
        messages.append({**message, "tool_calls": calls} if calls else message)
    return replace(conversation, messages=messages)


def _calls(conversation: Conversation) -> Iterator[tuple[str, str]]:
    """Name and arguments of each call; arguments are JSON text."""
    for message in conversation.messages:
        for call in message.get("tool_calls") or ():
            yield call["function"]["name"], call["function"]["arguments"]


def _offered(conversation: Conversation) -> dict[str, Any]:
    """The schema of the parameters of each tool, by its name, from OpenAI's form, Anthropic's or a bare one."""
    try:
        tools = json.loads(conversation.tools) if conversation.tools else []
    except (ValueError, RecursionError):
        return {}
    found = {}
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            found[function["name"]] = function.get("parameters", function.get("input_schema"))
    return found


def _fault(arguments: dict[str, Any], schema: Any) -> str | None:
    """What is wrong with the arguments, or with a schema that cannot be used; None if they fit."""
    if not isinstance(schema, dict):
        return None
    followed = 0

    def reference(validator: Any, value: Any, instance: Any, where: Any) -> Iterator[ValidationError]:
        nonlocal followed
        followed += 1
        if followed > MOST_REFERENCES:
            raise RecursionError
        yield from Draft202012Validator.VALIDATORS["$ref"](validator, value, instance, where)

    own = {"pattern": _ignored, "patternProperties": _ignored, "$ref": reference}
    if "patternProperties" in json.dumps(schema):
        own["additionalProperties"] = _ignored
    bounded = validators.extend(Draft202012Validator, own, type_checker=_TYPES)
    try:
        # An empty registry: nothing is fetched from where a schema points to.
        error = best_match(bounded(schema, registry=Registry()).iter_errors(arguments))
    except RecursionError:
        return "the tool's schema is too deep to be used"
    # Schemas of data sets may be anything: each keyword then fails in a way of its own.
    except Exception as found:
        return f"the tool's schema cannot be used ({type(found).__name__})"
    return None if error is None else error.message[:MAXIMUM_EVIDENCE]


def _typed(function: Mapping[str, Any], offered: Mapping[str, Any]) -> str:
    text, schema = function["arguments"], offered.get(function["name"])
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(arguments, dict) or not isinstance(properties, Mapping):
        return text
    typed = {name: _as_type(value, properties.get(name)) for name, value in arguments.items()}
    return text if typed == arguments else json.dumps(typed, ensure_ascii=False)


def _as_type(value: Any, schema: Any) -> Any:
    if not isinstance(value, str) or not isinstance(schema, Mapping):
        return value
    wanted = schema.get("type")
    wanted = OTHER_NAMES.get(wanted, wanted) if isinstance(wanted, str) else None
    digits = value.removeprefix("-")
    if wanted == "boolean":
        return TRUTH.get(value, value)
    if wanted in ("integer", "number") and digits.isascii() and digits.isdecimal() and len(digits) <= 15:
        # Not a number that begins with zeros, which is a code.
        return int(value) if digits == "0" or not digits.startswith("0") else value
    return value
