"""Rules for SFT conversations: what can be repaired is repaired, the rest is removed, and both are logged."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from pipeline.curation.decontamination.prompts import PromptIndex
from pipeline.environments import split_of, verify
from pipeline.environments.answers import DOES_NOT_KNOW
from pipeline.inference.conversation_ids import TRUSTED_ROLES
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.record import Conversation, conversation_id
from pipeline.tokenization.special_tokens import SPECIAL_TOKENS, is_control

_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TURNS = re.compile(r"(?:user (?:assistant (?:tool )+)*assistant )+")
Value = str | int | float


@dataclass(frozen=True)
class Violation:
    """What a conversation was found to violate."""

    rule: str
    """Name of the rule, by which removals are counted."""
    reason: str
    value: Value
    """What was found."""
    threshold: Value
    """What would have passed."""

    def log_row(self, conversation_id: str) -> dict[str, Value]:
        """The row of the log of removals or repairs for a conversation."""
        return {
            "id": conversation_id,
            "step": self.rule,
            "reason": self.reason,
            "value": self.value,
            "threshold": self.threshold,
        }


Rule = Callable[[Conversation], Violation | None]
"""A conversation of normalized text → what it violates, or None if it passes."""


def normalize_message(text: str) -> str:
    """The text in NFC with Unix line ends, without invisible and control characters and trailing white space.

    Unlike documents of pretraining (`pipeline.curation.text.documents.normalize`), messages also lose zero-width and
    directional characters.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = _INVISIBLE.sub("", text).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


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

    A system or assistant turn may have tags, such as `<think>`: they are part of what is taught.
    """
    for message in conversation.messages:
        trusted = message["role"] in TRUSTED_ROLES
        for token in SPECIAL_TOKENS:
            if token in message["content"] and (is_control(token) or not trusted):
                return Violation("special_tokens", f"{message['role']} spells out a special token", token, "none")
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
    """Rejects prose that ends without a closing mark, as cut short; other forms are left to the verifiers."""
    response = conversation.messages[-1]["content"]
    if conversation.source in ("documentation", "general_chat") and response[-1] not in ".!?\"')`":
        return Violation("truncation", "breaks off", response[-1], ".!?")
    return None


def check_leakage(conversation: Conversation) -> Violation | None:
    """Rejects a question that is held out for evaluation.

    A conversation of one's own is not trained on if its first question is (`sft_data` holds it back); later ones lean
    on what was said before and are asked nowhere else.
    """
    if conversation.own:
        return None
    for message in conversation.messages:
        if message["role"] == "user" and split_of(message["content"]) == "held_out":
            return Violation("leakage", "held-out prompt", message["content"], "train")
    return None


def check_benchmarks(conversation: Conversation, benchmarks: PromptIndex, threshold: float) -> Violation | None:
    """Rejects a question that copies an item of a benchmark.

    Responses may: "42" is the answer to many a question.

    Args:
        conversation: to be checked.
        benchmarks: the items; none in an index without benchmarks.
        threshold: the share of an item's words from which a question is a copy, for the log.
    """
    for message in conversation.messages:
        if message["role"] == "user" and (copy := benchmarks.find_copy(message["content"])) is not None:
            return Violation("decontamination", f"copies {copy.benchmark}: {copy.excerpt}", copy.coverage, threshold)
    return None


def check_answers(conversation: Conversation) -> Violation | None:
    """Rejects a response that its problem's verifier does not find right, unless it abstains."""
    responses = [message["content"] for message in conversation.messages if message["role"] == "assistant"]
    for problem, response in zip(conversation.problems, responses, strict=False):
        verdict = verify(problem, response)
        if verdict.score < 1.0 and response != DOES_NOT_KNOW:
            return Violation("verification", verdict.reason, round(verdict.score, 4), 1.0)
    return None


def conversation_rules(config: SftDataConfig) -> list[Rule]:
    """All rules in the order in which they are applied, those that read little first.

    Raises:
        DataError: for a benchmark that cannot be read.
    """
    decontamination = config.decontamination
    return [
        check_schema,
        check_special_tokens,
        partial(check_length, config=config),
        check_truncation,
        check_leakage,
        partial(check_benchmarks, benchmarks=PromptIndex(decontamination), threshold=decontamination.minimum_coverage),
        check_answers,
    ]


def normalized(conversation: Conversation) -> Conversation:
    """The conversation with the text of all its messages as `normalize_message` has it."""
    messages = [{**message, "content": normalize_message(message["content"])} for message in conversation.messages]
    return replace(conversation, messages=messages)


def apply_rules(
    raw: list[Conversation], config: SftDataConfig
) -> tuple[list[Conversation], list[dict[str, Value]], list[dict[str, Value]]]:
    """Normalizes conversations and removes those that violate a rule, and exact duplicates of those before them.

    Returns:
        The conversations kept, a row for each that was removed with the first rule it violates, and a row for each
        that was kept with changed text. Rows name a conversation by its id before normalization.

    Raises:
        DataError: for a benchmark that cannot be read.
    """
    kept: list[Conversation] = []
    removed: list[dict[str, Value]] = []
    repaired: list[dict[str, Value]] = []
    seen: set[str] = set()
    rules = conversation_rules(config)
    for conversation in raw:
        raw_id = conversation_id(conversation.messages, conversation.tools)
        clean = normalized(conversation)
        clean_id = conversation_id(clean.messages, conversation.tools)
        violation = next(filter(None, (rule(clean) for rule in rules)), None)
        if violation is None and clean_id in seen:
            violation = Violation("exact_dedup", "duplicate", clean_id, "unique")
        if violation is not None:
            removed.append(violation.log_row(raw_id))
            continue
        if clean_id != raw_id:
            repaired.append(Violation("normalisation", "text cleaned", clean_id, "normal form").log_row(raw_id))
        seen.add(clean_id)
        kept.append(clean)
    return kept, removed, repaired
