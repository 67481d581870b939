"""A conversation as token ids with the assistant mask, special tokens being the chat template's alone.

It is what SFT trains on, and what `fivephase doctor template` shows. transformers gives either the mask or, of marked
conversations, the ids (`pipeline.inference.conversation_ids`): here both come of one rendering.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers.utils.chat_template_utils import encode_marked_chat, mark_control_tokens, render_jinja_template

from pipeline.inference.conversation_ids import Marks, Message

BEGIN, END = mark_control_tokens("x", re.compile("x")).split("x")
"""What transformers puts around a special token that somebody wrote."""
MARKED = re.compile(f"{BEGIN}([^{BEGIN}{END}]*){END}|[{BEGIN}{END}]")
"""One that is marked, or a mark that a template has torn from it, which only keeps its two sides apart."""


@dataclass(frozen=True)
class MaskedConversation:
    """The tokens of a conversation, and which of them are trained on."""

    ids: list[int]
    trained: list[bool]
    """Whether each token is in the assistant mask."""
    text: str
    """What was rendered."""
    ends: list[int]
    """Where in `text` each token ends, in characters; several tokens can share a character."""


class ConversationEncoder:
    """Encodes conversations by a tokenizer's chat template."""

    def __init__(self, tokenizer: Any) -> None:
        """Takes a fast tokenizer with a chat template."""
        self._tokenizer = tokenizer
        self._marks = Marks(tokenizer)
        self._special_tokens = dict(tokenizer.special_tokens_map)

    @cached_property
    def _newline(self) -> list[int]:
        return self._tokenizer.encode("\n", add_special_tokens=False)

    def encode_row(self, row: Mapping[str, Any]) -> MaskedConversation:
        """A row's `messages` with its `tools` and `documents`, where it has them, each a list or JSON text of one.

        Raises:
            TemplateError: for a conversation that the template refuses.
            ValueError: for tools or documents that are no such list, or a special token that the tokenizer makes of
                plain text too, so that what somebody wrote cannot be told from the template's own.
        """
        return self.encode(row["messages"], _listed(row, "tools"), _listed(row, "documents"))

    def encode(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] | None = None,
        documents: Sequence[dict[str, Any]] | None = None,
    ) -> MaskedConversation:
        """The tokens of a conversation, and those between the template's generation tags marked as trained on.

        Args:
            messages: of the conversation.
            tools: JSON schemas of the tools that may be called.
            documents: with which the user's question comes.

        Raises:
            TemplateError, ValueError: see `encode_row`.
        """
        tokenizer = self._tokenizer
        messages, tools, documents = self._marks.apply(messages, tools, documents)
        render: Any = render_jinja_template
        rendered, generated = render(
            # As `apply_chat_template` does: many templates take a missing key, but not a null.
            [[{key: value for key, value in each.items() if value is not None} for each in messages]],
            tools,
            documents,
            tokenizer.get_chat_template(None, tools),
            return_assistant_tokens_mask=True,
            **self._special_tokens,
        )
        marked, spans = rendered[0], generated[0]
        ids: list[int] = []
        trained: list[bool] = []
        ends: list[int] = []
        texts: list[str] = []
        length = position = 0

        def add(piece: str, tokens: Sequence[int], bounds: Sequence[tuple[int, int]], begin: int) -> None:
            nonlocal length
            inside = [
                (start - begin, end - begin) for start, end in spans if start < begin + len(piece) and end > begin
            ]
            ids.extend(tokens)
            trained.extend(any(a < end and start < max(b, a + 1) for start, end in inside) for a, b in bounds)
            ends.extend(length + b for _, b in bounds)
            texts.append(piece)
            length += len(piece)

        for match in MARKED.finditer(marked):
            if piece := marked[position : match.start()]:
                add(piece, *self._encode_piece(piece, first=not position), position)
            if written := match[1]:
                tokens = encode_marked_chat(tokenizer, match[0])
                add(written, tokens, [(0, len(written))] * len(tokens), match.start(1))
            position = match.end()
        if piece := marked[position:]:
            add(piece, *self._encode_piece(piece, first=not position), position)
        return MaskedConversation(ids, trained, "".join(texts), ends)

    def _encode_piece(self, piece: str, first: bool) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of a part of a conversation and each token's bounds in it, as `encode_marked_chat` encodes such parts."""
        if not first:
            # After a line end some tokenizers put no space before the text, as they do at the beginning of one.
            encoded = self._tokenizer("\n" + piece, add_special_tokens=False, return_offsets_mapping=True)
            skipped = len(self._newline)
            if encoded["input_ids"][:skipped] == self._newline:
                return encoded["input_ids"][skipped:], [(a - 1, b - 1) for a, b in encoded["offset_mapping"][skipped:]]
        encoded = self._tokenizer(piece, add_special_tokens=False, return_offsets_mapping=True)
        return encoded["input_ids"], encoded["offset_mapping"]


def _listed(row: Mapping[str, Any], key: str) -> list[dict[str, Any]] | None:
    value = row.get(key)
    if isinstance(value, str):
        value = json.loads(value) if value else None
    if value is not None and not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):
        raise ValueError(f"{key} is no list of objects")
    return value or None
