"""How a conversation is shown to the judge: as data between marks that it cannot forge, with notes for its types."""

import hashlib
import json
import re
from dataclasses import dataclass

from pipeline.curation.text.language_id import identify
from pipeline.posttraining.data.judge.rubric import Rubric
from pipeline.posttraining.data.judge.verdict import SCHEMA
from pipeline.posttraining.data.record import Conversation

ID_CHARACTERS = 16
"""Hexadecimal digits of the hash that marks a conversation."""
CERTAIN = 0.8
"""Probability from which a text counts as not English."""
_CALCULATES = re.compile(r"\d\s*(?:[-+*/×÷·−^]|\\times|\\frac|=)\s*\(?-?\d")
_FORGES = re.compile(r"<(?=[|/\w])|\[(?=/?INST\])")
"""What begins a token that divides turns in the chat format of some model or other."""


@dataclass(frozen=True)
class Question:
    """What is asked about one conversation."""

    identity: str
    """A hash of the conversation as it is shown, by which it is marked and which the verdict repeats."""
    types: tuple[str, ...]
    """Types of the conversation."""
    messages: tuple[dict[str, str], ...]
    """The judge's instructions, and the conversation."""


def types_of(conversation: Conversation) -> tuple[str, ...]:
    """The types of a conversation, of `rubric.TYPES`: several, or `plain`."""
    replies = "\n".join(each["content"] for each in conversation.messages if each["role"] == "assistant")
    said = "\n".join(each["content"] for each in conversation.messages if each["role"] in ("user", "assistant"))
    found = {
        "multi_turn": sum(each["role"] == "user" for each in conversation.messages) > 1,
        "rag": bool(conversation.documents),
        "tools": bool(conversation.tools) or any(each.get("tool_calls") for each in conversation.messages),
        "multilingual": _is_foreign(conversation.language, said),
        "code": "```" in replies,
        "math": _CALCULATES.search(replies) is not None,
    }
    return tuple(name for name, holds in found.items() if holds) or ("plain",)


def _is_foreign(language: str, said: str) -> bool:
    if language:
        return language != "en"
    identified, probability = identify(said.encode("utf-8", "replace").decode())
    return identified not in ("en", "") and probability >= CERTAIN


def ask(conversation: Conversation, rubric: Rubric) -> Question:
    """The question about a conversation: nothing that it holds can end its marks or begin a turn of its own."""
    turns = [
        {
            "turn": number,
            "role": message["role"],
            "judged": message["role"] == "assistant",
            "content": message["content"],
            **({"tool_calls": message["tool_calls"]} if message.get("tool_calls") else {}),
        }
        for number, message in enumerate(conversation.messages)
    ]
    shown = {
        **({"tools": _given(conversation.tools)} if conversation.tools else {}),
        **({"documents": _given(conversation.documents)} if conversation.documents else {}),
        **({"language": conversation.language} if conversation.language else {}),
        "turns": turns,
    }
    # JSON may write a character by its number: a judge reads it the same, and no server takes it for a special token.
    text = _FORGES.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(shown, ensure_ascii=False, indent=1))
    # Half of a surrogate pair cannot be sent.
    text = text.encode("utf-8", "replace").decode()
    identity = hashlib.sha256(text.encode()).hexdigest()[:ID_CHARACTERS]
    types = types_of(conversation)
    content = f"=== conversation {identity} ===\n{text}\n=== end of {identity} ==="
    messages = ({"role": "system", "content": _instructions(rubric, types)}, {"role": "user", "content": content})
    return Question(identity, types, messages)


def _given(text: str) -> object:
    """What JSON text holds, or the text itself: a conversation may be judged before a rule has read its tools."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _instructions(rubric: Rubric, types: tuple[str, ...]) -> str:
    scores = "\n".join(f"- {name}: {question}" for name, question in rubric.dimensions.items())
    flags = "\n".join(f"- {name}: {meaning}" for name, meaning in rubric.flags.items())
    notes = "\n".join(rubric.types[name] for name in types)
    return (
        f"{rubric.task}\n\nScores: {rubric.scale}\n{scores}\n\nFlags, each true or false:\n{flags}\n\n{notes}\n\n"
        f"{rubric.reply}\n{json.dumps(SCHEMA)}"
    )
