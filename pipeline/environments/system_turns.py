"""The system turn that offers tools or gives documents, in the words of this project's chat template.

A template renders tools and documents that come beside the messages. Trainers of reinforcement learning take messages
alone, and a model may bring another template; as a turn of their own the same words reach every model.
`tests/environments/test_system_turns.py` holds them to the template.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pipeline.environments.problem import JSON

_TOOLS = """These tools can be called; each line between the tags is the JSON schema of one:
<tools>
{lines}</tools>
To call a tool, write its name and arguments as one JSON object between tool_call tags:
<tool_call>
{{"name": <tool name>, "arguments": <object of arguments>}}
</tool_call>
Call only tools from the list. When the request needs one that is not listed, say so."""
_DOCUMENTS = """These documents may help; each line between the tags is one as JSON:
<documents>
{lines}</documents>
Base the answer on what the documents state. When they do not contain the answer, say so."""


def tools_turn(tools: Iterable[Mapping[str, JSON]]) -> tuple[tuple[str, str], ...]:
    """`Problem.before` with tools, each in OpenAI's form: type, and a function with name, description, parameters."""
    return (("system", _TOOLS.format(lines=_lines(tools))),)


def documents_turn(documents: Iterable[Mapping[str, JSON]], more: str = "") -> tuple[tuple[str, str], ...]:
    """`Problem.before` with documents, each with `doc_id`, `title` and `text`, and an instruction before them."""
    return (("system", (f"{more}\n\n" if more else "") + _DOCUMENTS.format(lines=_lines(documents))),)


def tool_call(name: str, arguments: Mapping[str, JSON]) -> str:
    """A call as the assistant writes it."""
    return f'<tool_call>\n{{"name": {_json(name)}, "arguments": {_json(arguments)}}}\n</tool_call>'


def _lines(values: Iterable[Mapping[str, JSON]]) -> str:
    return "".join(f"{_json(value)}\n" for value in values)


def _json(value: object) -> str:
    # As the template has it, so that no text of a document can open or close a tag.
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
