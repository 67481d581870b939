"""The form of a conversation: turns in order, none empty, no special tokens, not too short, too long or cut off."""

from __future__ import annotations

import json
import re

from pipeline.inference.conversation_ids import TRUSTED_ROLES
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.code import FENCE, without_code
from pipeline.posttraining.data.rules.violation import Violation
from pipeline.tokenization.special_tokens import SPECIAL_TOKENS, is_control

_TURNS = re.compile(r"(?:user (?:assistant (?:tool )+)*assistant )+")
_FOREIGN_TOKEN = re.compile(r"<\|[a-z][a-z_]{2,30}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>")
"""What divides turns in ChatML, Llama, Mistral, Gemma and the like."""
_UNFINISHED = tuple(",;([{-–—")
"""Marks that something must follow."""
_UNFINISHED_WORDS = re.compile(r"\b(?:the|an|and|or|of|to|with|because|which|that is|such as)\Z")
"""English words at which no reply ends."""


def check_schema(conversation: Conversation) -> Violation | None:
    """Rejects all but an optional system turn, then user and assistant in turn, the assistant last, none empty.

    Before its reply the assistant may call tools, whose results follow each call.
    """
    roles = [message["role"] for message in conversation.messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not _TURNS.fullmatch(" ".join([*turns, ""])):
        return Violation("schema", "roles out of order", " ".join(roles), "user assistant ...")
    for position, message in enumerate(conversation.messages):
        if not message["content"] and not message.get("tool_calls"):
            return Violation("schema", "empty turn", position, 1)
    return None


def check_special_tokens(conversation: Conversation) -> Violation | None:
    """Rejects a turn that spells out special tokens, which encoded would be those of a turn nobody took.

    A system or assistant turn may have tags, such as `<think>`: they are part of what is taught. Nor may a reply have
    the special tokens of other models, which somebody's rendering has left there.
    """
    for message in conversation.messages:
        trusted = message["role"] in TRUSTED_ROLES
        for token in SPECIAL_TOKENS:
            if token in message["content"] and (is_control(token) or not trusted):
                return Violation("special_tokens", f"{message['role']} spells out a special token", token, "none")
        if message["role"] == "assistant" and (found := _FOREIGN_TOKEN.search(without_code(message["content"]))):
            return Violation("special_tokens", "assistant spells out another model's special token", found[0], "none")
    return None


def check_length(conversation: Conversation, config: SftDataConfig) -> Violation | None:
    """Rejects a response shorter than the minimum, and a conversation too long to be trained on whole."""
    for message in conversation.messages:
        short = len(message["content"]) < config.min_reply_characters and not message.get("tool_calls")
        if message["role"] == "assistant" and short:
            return Violation("length", "reply too short", len(message["content"]), config.min_reply_characters)
    calls = [json.dumps(message["tool_calls"]) for message in conversation.messages if message.get("tool_calls")]
    characters = sum(map(len, [*(message["content"] for message in conversation.messages), *calls, conversation.tools]))
    if characters > config.max_conversation_characters:
        return Violation("length", "conversation too long", characters, config.max_conversation_characters)
    return None


def check_truncation(conversation: Conversation) -> Violation | None:
    """Rejects a reply that was certainly cut short: within a code block or a thought, or where more must follow.

    Of built-in prose, whose sentences are known to be whole, also one that ends without a closing mark; the forms of
    other built-in replies are left to the verifiers.
    """
    response = conversation.messages[-1]["content"]
    if not response:
        return None
    if conversation.source in ("documentation", "general_chat"):
        return Violation("truncation", "breaks off", response[-1], ".!?") if response[-1] not in ".!?\"')`" else None
    if conversation.problems:
        return None
    if len(FENCE.findall(response)) % 2:
        return Violation("truncation", "ends within a code block", response[-20:], "```")
    if response.count("<think>") > response.count("</think>"):
        return Violation("truncation", "ends within a thought", response[-20:], "</think>")
    if response.endswith(_UNFINISHED) or _UNFINISHED_WORDS.search(response):
        return Violation("truncation", "breaks off", response[-20:], "a whole sentence")
    return None


def check_documents(conversation: Conversation) -> Violation | None:
    """Rejects a conversation that is to be answered from documents of which none has a text."""
    if not conversation.documents:
        return None
    try:
        documents = json.loads(conversation.documents)
    except (ValueError, RecursionError):
        return Violation("documents", "not JSON", conversation.documents[:20], "a list of documents")
    texts = [value for each in documents if isinstance(each, dict) for value in each.values() if isinstance(value, str)]
    if not any(map(str.strip, texts)):
        return Violation("documents", "no document has a text", len(documents), 1)
    return None
