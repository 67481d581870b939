"""Deterministic rules for SFT conversations: repair what can be repaired, remove the rest, log both."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass

from pipeline.curation.decontamination.prompts import PromptIndex
from pipeline.environments import split_of, verify
from pipeline.environments.answers import DOES_NOT_KNOW
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.conversations import Conversation, Message

_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
Value = str | int | float


@dataclass(frozen=True)
class Removal:
    """Why a conversation was removed."""

    step: str
    reason: str
    value: Value
    threshold: Value

    def row(self, identity: str) -> dict[str, Value]:
        """The row of the removal log."""
        return {
            "id": identity,
            "step": self.step,
            "reason": self.reason,
            "value": self.value,
            "threshold": self.threshold,
        }


def identity_of(messages: list[Message]) -> str:
    """Content-stable id: a hash of the turns."""
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()[:32]


def normalize(text: str) -> str:
    """NFC, Unix line ends, no invisible or control characters, no white space at ends of lines and text."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = _INVISIBLE.sub("", text).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def check_schema(conversation: Conversation) -> Removal | None:
    """An optional system turn, then user and assistant by turns, the assistant last, none empty."""
    roles = [message["role"] for message in conversation.messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    expected = ["user", "assistant"] * (len(turns) // 2)
    if not turns or turns != expected:
        return Removal("schema", "roles out of order", " ".join(roles), "user assistant ...")
    for position, message in enumerate(conversation.messages):
        if not message["content"]:
            return Removal("schema", "empty turn", position, 1)
    return None


def check_length(conversation: Conversation, config: SftDataConfig) -> Removal | None:
    """Replies long enough and the conversation short enough to be trained on whole."""
    for message in conversation.messages:
        if message["role"] == "assistant" and len(message["content"]) < config.min_reply_characters:
            return Removal("length", "reply too short", len(message["content"]), config.min_reply_characters)
    characters = sum(len(message["content"]) for message in conversation.messages)
    if characters > config.max_conversation_characters:
        return Removal("length", "conversation too long", characters, config.max_conversation_characters)
    return None


def check_leakage(conversation: Conversation) -> Removal | None:
    """No question may be one that is held out for measuring."""
    for message in conversation.messages:
        if message["role"] == "user" and split_of(message["content"]) == "held_out":
            return Removal("leakage", "held-out prompt", message["content"], "train")
    return None


def check_benchmarks(conversation: Conversation, index: PromptIndex, least: float) -> Removal | None:
    """No question may copy an item of a benchmark. Replies may: "42" is the answer to many a question."""
    for message in conversation.messages:
        if message["role"] == "user" and (copy := index.find_copy(message["content"])) is not None:
            return Removal("decontamination", f"copies {copy.benchmark}: {copy.excerpt}", copy.coverage, least)
    return None


def check_answers(conversation: Conversation) -> Removal | None:
    """Hard reject: every reply that a verifier can check has to be right, or abstain."""
    replies = [message["content"] for message in conversation.messages if message["role"] == "assistant"]
    for problem, reply in zip(conversation.problems, replies, strict=False):
        verdict = verify(problem, reply)
        if verdict.score < 1.0 and reply != DOES_NOT_KNOW:
            return Removal("verification", verdict.reason, round(verdict.score, 4), 1.0)
    return None


def check_truncation(conversation: Conversation) -> Removal | None:
    """Prose that ends without a closing mark was cut short; other forms are the verifiers' to judge."""
    reply = conversation.messages[-1]["content"]
    if conversation.source in ("documentation", "general_chat") and reply[-1] not in ".!?\"')`":
        return Removal("truncation", "breaks off", reply[-1], ".!?")
    return None


def curate(
    raw: list[Conversation], config: SftDataConfig
) -> tuple[list[Conversation], list[dict[str, Value]], list[dict[str, Value]]]:
    """Apply all rules in order.

    Returns the conversations kept, the rows of what was removed, and the rows of what was repaired.
    """
    kept: list[Conversation] = []
    removed: list[dict[str, Value]] = []
    repaired: list[dict[str, Value]] = []
    seen: set[str] = set()
    # Without benchmarks the index is empty and finds nothing.
    benchmarks, least = PromptIndex(config.decontamination), config.decontamination.minimum_coverage
    for conversation in raw:
        original = identity_of(conversation.messages)
        messages = [{**message, "content": normalize(message["content"])} for message in conversation.messages]
        clean = Conversation(messages, conversation.source, conversation.problems)
        identity = identity_of(messages)
        removal = (
            check_schema(clean)
            or check_length(clean, config)
            or check_truncation(clean)
            or check_leakage(clean)
            or check_benchmarks(clean, benchmarks, least)
            or check_answers(clean)
            or (Removal("exact_dedup", "duplicate", identity, "unique") if identity in seen else None)
        )
        if removal:
            removed.append(removal.row(original))
            continue
        if identity != original:
            repaired.append(Removal("normalisation", "text cleaned", identity, "normal form").row(original))
        seen.add(identity)
        kept.append(clean)
    return kept, removed, repaired
