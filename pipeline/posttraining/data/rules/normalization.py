"""Repairs of text that are certain: normal form, and the end marks of other chat formats behind a reply."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from pipeline.posttraining.data.record import Conversation

_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_END_MARKS = ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end|>", "<|end_of_turn|>", "<end_of_turn>", "</s>")
"""How ChatML, Llama, GPT, Phi, OpenChat, Gemma and Mistral end a turn."""


def normalize_message(text: str) -> str:
    """The text in NFC with Unix line ends, without invisible and control characters and trailing white space.

    Unlike documents of pretraining (`pipeline.curation.text.documents.normalize`), messages also lose zero-width and
    directional characters, and halves of characters, which nothing can write.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = _INVISIBLE.sub("", text).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def clean_text(conversation: Conversation) -> Conversation:
    """The conversation with the text of all its messages as `normalize_message` has it."""
    messages = [{**message, "content": normalize_message(message["content"])} for message in conversation.messages]
    return replace(conversation, messages=messages)


def without_end_marks(conversation: Conversation) -> Conversation:
    """The conversation without what other chat formats write at the end of a reply: the end comes by itself."""
    messages = [
        {**message, "content": _without_end_mark(message["content"])} if message["role"] == "assistant" else message
        for message in conversation.messages
    ]
    return replace(conversation, messages=messages)


def _without_end_mark(text: str) -> str:
    # In HTML, `<s>` begins what `</s>` ends.
    while (mark := next(filter(text.endswith, _END_MARKS), None)) is not None and "<s>" not in text:
        text = text.removesuffix(mark).rstrip()
    return text
