"""One record for every conversation, wherever it comes from: what was said, with what, and what is known of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from datatrove.data import Document

from pipeline.environments import Problem
from pipeline.inference.conversation_ids import Message


@dataclass(frozen=True)
class Conversation:
    """A conversation, and for each of its questions the problem whose verifier can check the response."""

    messages: list[Message]
    source: str
    """The environment, `documentation`, the name of a recipe's source, or a file of one's own."""
    problems: tuple[Problem, ...] = ()
    """In the order of the user's turns; empty where no response can be verified."""
    tools: str = ""
    """JSON text of the tools that it may call; empty without."""
    own: bool = False
    """Whether it is from elsewhere, a recipe's source or a file of one's own, and not from the built-in generators."""
    documents: str = ""
    """JSON text of the documents that come with the question; empty without."""
    domain: str = ""
    """Data domain of the recipe that it comes from."""
    language: str = ""
    """ISO 639-1; empty where nobody says."""
    licence: str = ""

    @property
    def question(self) -> str:
        """The first turn of the user; empty if there is none."""
        return next((message["content"] for message in self.messages if message["role"] == "user"), "")

    @property
    def text(self) -> str:
        """All that is said in it, with tools, calls and documents: what near duplicates are compared by."""
        parts = [self.tools, self.documents]
        for message in self.messages:
            parts += [message["content"], *(json.dumps(call["function"]) for call in message.get("tool_calls", ()))]
        return "\n\n".join(filter(None, parts))

    def to_row(self) -> dict[str, Any]:
        """The record as the stage hands it on; keys without a value are left out, but for the four of every record."""
        last = self.problems[-1] if self.problems else None
        optional = {
            "domain": self.domain,
            "language": self.language,
            "licence": self.licence,
            "tools": self.tools,
            "documents": self.documents,
            "answer": last.answer if last else "",
            "verifier": last.environment if last else "",
        }
        return {
            "id": conversation_id(self.messages, self.tools, self.documents),
            "source": self.source,
            "messages": self.messages,
            **{key: value for key, value in optional.items() if value},
        }

    def to_document(self, origin: str, dataset: str) -> Document:
        """The record as curation's steps compare it: its text, its id, and as metadata the row and where it is from.

        Args:
            origin: the place in its file.
            dataset: the name of the recipe's source, or of a file of one's own.
        """
        row = self.to_row()
        metadata = {"origin": origin, "source": self.source, "dataset": dataset, "row": row, "own": self.own}
        return Document(text=self.text, id=row["id"], metadata=metadata)


def conversation_id(messages: list[Message], tools: str = "", documents: str = "") -> str:
    """SHA-256 over messages and tools, and documents where there are some, in hexadecimal: an id of the content."""
    return hashlib.sha256((json.dumps(messages, sort_keys=True) + tools + documents).encode()).hexdigest()
