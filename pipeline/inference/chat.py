"""Conversations as messages, as text by the tokenizer's chat template, and as padded token ids."""

from collections.abc import Sequence
from typing import Any, Literal

from pipeline.environments import Problem

Message = dict[str, Any]
"""A turn of a conversation, with its `role` (system, user, assistant or tool) and its `content`, a text. A turn of the
assistant may have `tool_calls` in OpenAI's form, their arguments as JSON text."""


def to_messages(prompt: str, response: str | None = None) -> list[Message]:
    """A prompt as the messages of a conversation, followed by the assistant's response if there is one."""
    messages = [{"role": "user", "content": prompt}]
    return messages if response is None else [*messages, {"role": "assistant", "content": response}]


def problem_messages(problem: Problem) -> list[Message]:
    """What a model is asked by a problem, as messages: what was said before, then the prompt as the user's turn."""
    return [*({"role": role, "content": content} for role, content in problem.before), *to_messages(problem.prompt)]


def render(tokenizer: Any, conversations: Sequence[list[Message]], *, add_generation_prompt: bool = False) -> list[str]:
    """The text of each conversation by the tokenizer's chat template.

    `add_generation_prompt` appends the header of an assistant's turn, which the model is to continue.
    """
    return [
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
        for messages in conversations
    ]


def encode(
    tokenizer: Any, texts: Sequence[str], padding_side: Literal["left", "right"], max_length: int | None = None
) -> Any:
    """Rendered texts as transformers' BatchEncoding: ids and attention mask, CPU tensors of (texts, longest text).

    Args:
        tokenizer: of the model that will read them.
        texts: what `render` returns, with the special tokens written out.
        padding_side: `left` for texts that are to be continued, `right` for those that are only read.
        max_length: tokens after which a text is cut; None leaves all whole.
    """
    return tokenizer(
        list(texts),
        add_special_tokens=False,
        padding=True,
        padding_side=padding_side,
        truncation=max_length is not None,
        max_length=max_length,
        return_tensors="pt",
    )
