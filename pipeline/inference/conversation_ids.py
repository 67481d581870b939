"""Conversations as messages, and as token ids in which special tokens are the chat template's alone.

A chat template joins its own tokens and what was said to one text. Encoded as it is, a user who writes
`<|end_of_text|>` and a system turn has made one, id for id. transformers can mark such strings before they are rendered
and encode the marked ones as characters (`mark_control_tokens`, `encode_marked_chat`); which turns may hold which
tokens is decided here. A conversation without such strings is encoded as ever.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal

from transformers.utils.chat_template_utils import encode_marked_chat, mark_control_tokens

from pipeline.core.errors import CheckpointError
from pipeline.environments import Problem

Message = dict[str, Any]
"""A turn of a conversation, with its `role` (system, user, assistant or tool) and its `content`, a text. A turn of the
assistant may have `tool_calls` in OpenAI's form, their arguments as JSON text."""

TRUSTED_ROLES = ("system", "assistant")
"""Roles whose turns may hold tags, such as `<think>` and `<schema>`: added tokens that the tokenizer does not call
special. Special ones, which divide a conversation into turns, may stand in no content."""


def to_messages(prompt: str, response: str | None = None) -> list[Message]:
    """A prompt as the messages of a conversation, followed by the assistant's response if there is one."""
    messages = [{"role": "user", "content": prompt}]
    return messages if response is None else [*messages, {"role": "assistant", "content": response}]


def problem_messages(problem: Problem) -> list[Message]:
    """What a model is asked by a problem, as messages: what was said before, then the prompt as the user's turn."""
    return [*({"role": role, "content": content} for role, content in problem.before), *to_messages(problem.prompt)]


class Marks:
    """transformers' marks around the special tokens that somebody wrote into a conversation."""

    def __init__(self, tokenizer: Any) -> None:
        """Looks up the tokenizer's special tokens and tags."""
        self._trusted, self._untrusted = _forbidden(tokenizer, "system"), _forbidden(tokenizer, "user")

    def apply(self, messages: Sequence[dict[str, Any]], tools: Any, documents: Any) -> tuple[list[Message], Any, Any]:
        """Messages, tools and documents with their special tokens marked; see `conversation_ids` for what they are."""
        marked = []
        for message in messages:
            role = message["role"]
            pattern = self._trusted if role in TRUSTED_ROLES else self._untrusted
            # A role is no content: templates compare it, and refuse those they do not know.
            marked.append({**mark_control_tokens(message, pattern), "role": role})
        return marked, mark_control_tokens(tools, self._untrusted), mark_control_tokens(documents, self._untrusted)


def conversation_ids(
    tokenizer: Any,
    messages: Sequence[dict[str, Any]],
    *,
    add_generation_prompt: bool = False,
    tools: Sequence[dict[str, Any]] | None = None,
    documents: Sequence[dict[str, Any]] | None = None,
) -> list[int]:
    """The token ids of a conversation by the tokenizer's chat template.

    Args:
        tokenizer: of the model that will read them; a fast one of transformers.
        messages: as `apply_chat_template` takes them, so that a content may also be parts, and a turn have tool calls.
        add_generation_prompt: append the header of an assistant's turn, which the model is to continue.
        tools: JSON schemas of the tools that may be called.
        documents: with which the user's question comes.

    Raises:
        CheckpointError: for a tokenizer without a template.
    """
    if not tokenizer.chat_template:
        raise CheckpointError(
            f"{tokenizer.name_or_path}: no chat template to render conversations with; set "
            "stages.import_model.config.chat_template where it comes from (docs/how_to/own_model.md)"
        )
    marked, tools, documents = Marks(tokenizer).apply(messages, tools, documents)
    rendered = tokenizer.apply_chat_template(
        marked, tokenize=False, add_generation_prompt=add_generation_prompt, tools=tools, documents=documents
    )
    return encode_marked_chat(tokenizer, rendered)


def encode(
    tokenizer: Any,
    conversations: Sequence[Sequence[Message]],
    padding_side: Literal["left", "right"],
    max_length: int | None = None,
    *,
    add_generation_prompt: bool = False,
) -> Any:
    """Conversations as transformers' BatchEncoding: ids and attention mask, CPU tensors of (conversations, longest).

    Args:
        tokenizer: of the model that will read them.
        conversations: the messages of each.
        padding_side: `left` for those that are to be continued, `right` for those that are only read.
        max_length: tokens after which a conversation is cut; None leaves all whole.
        add_generation_prompt: append the header of an assistant's turn to each.
    """
    ids = [
        conversation_ids(tokenizer, messages, add_generation_prompt=add_generation_prompt)[:max_length]
        for messages in conversations
    ]
    return tokenizer.pad({"input_ids": ids}, padding=True, padding_side=padding_side, return_tensors="pt")


def forged_token(tokenizer: Any, messages: Iterable[dict[str, Any]]) -> str | None:
    """The first token that a message spells out and its role may not hold, or None.

    It is for what a library renders and encodes by itself, which knows no marks: such conversations are left out.
    """
    for message in messages:
        for text in _texts(message):
            if found := _forbidden(tokenizer, message["role"]).search(text):
                return found[0]
    return None


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _forbidden(tokenizer: Any, role: str) -> re.Pattern[str]:
    """What matches the tokens that a content of this role may not hold."""
    trusted = role in TRUSTED_ROLES
    # Some tokenizers have runs of white space among their added tokens.
    return _pattern(
        tuple(
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.special or not (trusted or token.content.isspace())
        )
    )


@lru_cache(maxsize=16)
def _pattern(tokens: tuple[str, ...]) -> re.Pattern[str]:
    # Longest first, as tokenizers match them; `(?!)`, if there are none, matches nowhere.
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")
