"""Rows of one's own files, in the shapes that other tools write, as conversations, preferences and prompts.

Conversations: `messages` (OpenAI, TRL), `conversations` (ShareGPT's from and value), `instruction`, `input`, `output`
(Alpaca), `prompt` with `completion` or `response`, `query` with `answers` (xLAM's calls of tools); `tools` and
`documents` beside them. Preferences: `chosen` and `rejected`, with `prompt` or beginning with it; or `response1`,
`response2` and `overall_preference` (HelpSteer3). Prompts: `prompt` or `messages`. Wherever a text or a list of
messages may stand, either is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.inference.conversation_ids import Message
from pipeline.posttraining.common.data_files import RowError

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "chatgpt": "assistant", "bot": "assistant",
    "function_call": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "function_response": "tool", "ipython": "tool",
}  # fmt: skip
"""What other tools call the speakers, in lower case, and what they are here."""
UNTRAINED = ("reasoning_content", "thinking", "reasoning")
"""Keys of messages whose text no chat template here writes: to leave it out without a word would lose training data."""
CONVERSATIONS = ("messages", "conversations", "conversation")
REPLIES = ("completion", "response", "output", "answer")


class ShapeError(RowError):
    """A row that is in no shape of those that are read."""


def read_conversation(row: Mapping[str, Any]) -> tuple[list[Message], str]:
    """The messages of a row, and its tools as JSON text, empty if it has none.

    Raises:
        ShapeError: for a row of no known shape, or a turn that is not text.
    """
    key = next((key for key in CONVERSATIONS if row.get(key) is not None), None)
    if key is not None:
        messages = read_messages(row[key], key)
    elif row.get("instruction") is not None:
        question = "\n\n".join(_text(row[key]) for key in ("instruction", "input") if row.get(key))
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": _text(row.get("output"))}]
    elif row.get("prompt") is not None and (reply := next((row[key] for key in REPLIES if row.get(key)), None)):
        messages = [*read_prompt(row["prompt"]), *read_reply(reply)]
    elif row.get("query") is not None and row.get("answers") is not None:
        messages = [*read_prompt(row["query"]), _calls(row["answers"])]
    else:
        raise ShapeError(
            f"no conversation among {', '.join(row) or 'no keys'}; set messages, conversations, instruction and "
            "output, or prompt and completion"
        )
    if row.get("system") and messages[:1] and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": _text(row["system"])})
    if all(each["role"] != "assistant" for each in messages):
        raise ShapeError(f"{key or 'the conversation'} has no turn of the assistant to train on, add one or remove it")
    return messages, _tools(row)


def read_documents(row: Mapping[str, Any]) -> str:
    """The documents that come with a row's question, as JSON text of a list of objects; empty if it has none.

    Raises:
        ShapeError: for documents that are neither texts nor objects.
    """
    documents = row.get("documents")
    if isinstance(documents, str):
        try:
            parsed = json.loads(documents)
        except ValueError:
            parsed = None  # A page, which may begin like a list.
        documents = parsed if isinstance(parsed, list) else [documents] if documents.strip() else None
    if not documents:
        return ""
    if not isinstance(documents, list) or not all(isinstance(each, str | Mapping) for each in documents):
        raise ShapeError("documents is no list of texts or objects, set such a list or leave it out")
    objects = [
        {"doc_id": number, "text": each} if isinstance(each, str) else _given(each)
        for number, each in enumerate(documents, start=1)
    ]
    return json.dumps(objects, ensure_ascii=False)


def read_preference(row: Mapping[str, Any]) -> tuple[list[Message], list[Message], list[Message]]:
    """Prompt, chosen reply and rejected reply of a row, each as messages; what both replies begin with is the prompt.

    Two replies with `overall_preference` (HelpSteer3) are ordered by it: below 0 the first is better; at 0 neither is.

    Raises:
        ShapeError: for a row without them, or replies that do not go on from the same prompt.
    """
    if row.get("overall_preference") is not None:
        row = _ordered(row)
    for key in ("chosen", "rejected"):
        if not row.get(key):
            raise ShapeError(f"no {key} among {', '.join(row) or 'no keys'}; set prompt, chosen and rejected")
    chosen, rejected = read_reply(row["chosen"], "chosen"), read_reply(row["rejected"], "rejected")
    begins = next((row[key] for key in ("prompt", *CONVERSATIONS) if row.get(key) is not None), None)
    prompt = read_prompt(begins) if begins is not None else []
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if shared and (not prompt or chosen[:shared][-len(prompt) :] == prompt):
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    if not prompt or prompt[-1]["role"] == "assistant":
        raise ShapeError("no prompt that ends with the user's turn, set prompt")
    for key, reply in (("chosen", chosen), ("rejected", rejected)):
        if [each["role"] for each in reply] != ["assistant"]:
            raise ShapeError(f"{key} is not one turn of the assistant after the prompt, set it to that turn")
    return prompt, chosen, rejected


def read_prompt(value: Any) -> list[Message]:
    """A prompt as messages: a text is one turn of the user.

    Raises:
        ShapeError: for what is neither a text nor a list of messages.
    """
    return [{"role": "user", "content": value}] if isinstance(value, str) else read_messages(value, "prompt")


def read_reply(value: Any, key: str = "the reply") -> list[Message]:
    """A reply as messages: a text, or a single message, is one turn of the assistant.

    Raises:
        ShapeError: for what is none of these.
    """
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    return read_messages([value] if isinstance(value, Mapping) else value, key)


def read_messages(value: Any, key: str = "messages") -> list[Message]:
    """A list of turns in OpenAI's form or ShareGPT's.

    Args:
        value: the list.
        key: of the row that it is from, for the error.

    Raises:
        ShapeError: for what is no such list, a speaker that is not known, or a turn whose content is not text.
    """
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise ShapeError(f"{key} is no list of objects with role and content, set such a list")
    messages = []
    for number, turn in enumerate(value, start=1):
        try:
            messages.append(_message(turn))
        except ShapeError as error:
            raise ShapeError(f"{key}, turn {number}: {error}") from None
    return messages


def _message(turn: Mapping[str, Any]) -> Message:
    speaker = str(turn.get("role") or turn.get("from") or "").casefold()
    if speaker not in ROLES:
        raise ShapeError(f"a message's role is {speaker!r}, set system, user, assistant or tool")
    if untrained := [key for key in UNTRAINED if turn.get(key)]:
        raise ShapeError(
            f"a message has {untrained[0]}, which would not be trained on; join it to content or remove it"
        )
    if turn.get("weight") == 0:
        raise ShapeError("a message has weight 0, but all turns of the assistant are trained on; remove weight or row")
    content = turn.get("content", turn.get("value"))
    calls = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    if speaker == "function_call":
        calls, content = [_json(content, "a tool call")], None
    if content is None and calls:
        content = ""
    message: Message = {"role": ROLES[speaker], "content": _text(content)}
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return message


def _ordered(row: Mapping[str, Any]) -> dict[str, Any]:
    preference = row["overall_preference"]
    if not isinstance(preference, int | float) or not preference:
        raise ShapeError(f"overall_preference is {preference}, set it below 0 for response1 and above for response2")
    better, worse = ("response1", "response2") if preference < 0 else ("response2", "response1")
    prompt = row["prompt"] if row.get("prompt") is not None else row.get("context")
    return {"prompt": prompt, "chosen": row.get(better), "rejected": row.get(worse)}


def _calls(answers: Any) -> Message:
    """The assistant's turn that calls tools, from a list of calls or the JSON text of one."""
    answers = _json(answers, "answers") if isinstance(answers, str) else answers
    if not isinstance(answers, list) or not answers:
        raise ShapeError("answers is no list of calls of tools, set one")
    return {"role": "assistant", "content": "", "tool_calls": [_call(call) for call in answers]}


def _text(value: Any) -> str:
    """A text, or the parts of one, each on a line of its own as in Granite's chat template."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in value):
        return "\n".join(_text(part.get("text")) for part in value)
    raise ShapeError(f"a content is {type(value).__name__} and not text, remove the row or make it text")


def _call(call: Any) -> dict[str, Any]:
    function = call.get("function") or call if isinstance(call, Mapping) else {}
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str) or not name:
        raise ShapeError("a tool call has no name, set function.name and function.arguments")
    # As text: a table of many conversations would give every call the arguments of all others, empty.
    what = f"the arguments of the call of {name}"
    arguments = _json(arguments, what) if isinstance(arguments, str) else _given(arguments or {})
    arguments = json.dumps(arguments, ensure_ascii=False)
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def _tools(row: Mapping[str, Any]) -> str:
    tools = row.get("tools") or row.get("functions")
    tools = _json(tools, "tools") if isinstance(tools, str) else tools
    if not tools:
        return ""
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise ShapeError("tools is no list of JSON schemas, set such a list or leave it out")
    return json.dumps(_given(tools), ensure_ascii=False)


def _given(value: Any) -> Any:
    """The value without keys that are null: Parquet gives every row the keys of all others."""
    if isinstance(value, Mapping):
        return {key: _given(each) for key, each in value.items() if each is not None}
    return [_given(each) for each in value] if isinstance(value, list) else value


def _json(text: Any, what: str) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise ShapeError(f"{what}: text that is no JSON, correct it") from None
