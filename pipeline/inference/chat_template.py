"""What a chat template makes of a conversation, and which of its tokens a model is trained on: the assistant mask.

A template marks what the assistant says by `{% generation %}` and `{% endgeneration %}`, transformers' addition to
Jinja. Tokens between them are trained on, all others are only read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from pipeline.core.errors import CheckpointError
from pipeline.inference.conversation_ids import Message
from pipeline.inference.masked_conversation import ConversationEncoder

EXAMPLE: tuple[Message, ...] = (
    {"role": "user", "content": "What is 2 + 3?"},
    {"role": "assistant", "content": "It is 5."},
    {"role": "user", "content": "Thank you!"},
    {"role": "assistant", "content": "You are welcome."},
)
"""The conversation that templates are checked with and shown by."""
REMEDY = "set stages.import_model.config.chat_template to one that does, such as plain (docs/how_to/own_model.md)"


@dataclass(frozen=True)
class Segment:
    """A part of a rendered conversation."""

    text: str
    tokens: tuple[int, ...]
    """Their ids."""
    trained: bool
    """Whether they are in the assistant mask."""


def segments(tokenizer: Any, messages: Sequence[Message], where: str) -> list[Segment]:
    """A conversation as `sft_data` encodes it by its tokenizer's template, cut wherever training on it begins or ends.

    Args:
        tokenizer: a fast one, with a chat template.
        messages: of the conversation.
        where: the tokenizer's folder, to name in the error.

    Raises:
        CheckpointError: for a tokenizer without a template, or one that does not render.
    """
    if not tokenizer.chat_template:
        raise CheckpointError(f"{where}: no chat template; {REMEDY}")
    try:
        encoded = ConversationEncoder(tokenizer).encode(messages)
    except (TemplateError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{where}: its chat template does not render a conversation ({' '.join(str(error).split())}); {REMEDY}"
        ) from None
    found: list[Segment] = []
    position = 0
    for token, end, trained in zip(encoded.ids, encoded.ends, encoded.trained, strict=True):
        # Several tokens can share a character, and some characters have no token.
        piece, position = encoded.text[position:end], max(position, end)
        if not found or found[-1].trained != trained:
            found.append(Segment("", (), trained))
        found[-1] = Segment(found[-1].text + piece, (*found[-1].tokens, token), trained)
    rest = encoded.text[position:]
    return [*found, Segment(rest, (), False)] if rest else found


def check_assistant_mask(tokenizer: Any, where: str) -> None:
    """Makes sure that training by a tokenizer's template is on the assistant's words and on the end of its turns.

    Args:
        tokenizer: a fast one.
        where: its folder, to name in errors.

    Raises:
        CheckpointError: for a template that is missing, does not render, or marks nothing, other words, or no end.
    """
    trained = [each for each in segments(tokenizer, EXAMPLE, where) if each.trained]
    if not trained:
        raise CheckpointError(
            f"{where}: its chat template marks nothing to train on (no {{% generation %}} around the assistant's "
            f"turns); {REMEDY}"
        )
    text = "".join(each.text for each in trained)
    for message in EXAMPLE:
        if (message["content"] in text) != (message["role"] == "assistant"):
            verb = "does not train" if message["role"] == "assistant" else "trains"
            raise CheckpointError(
                f"{where}: its chat template {verb} on {message['content']!r}, which the {message['role']} says; "
                f"{REMEDY}"
            )
    for each in trained:
        if tokenizer.eos_token_id not in each.tokens:
            raise CheckpointError(
                f"{where}: its chat template does not train on {tokenizer.eos_token!r} after the assistant's turn, so "
                "that no answer would end; move that inside {% generation %}, or set "
                "stages.import_model.config.eos_token to the token that ends a turn"
            )
