"""What a rule says of a conversation: nothing, or what it violates with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.posttraining.data.record import Conversation

Value = str | int | float
MAXIMUM_EVIDENCE = 200
"""Characters of a text that are quoted as evidence."""


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


def replies_of(conversation: Conversation) -> Iterator[str]:
    """The texts of the assistant's turns, those that only call a tool left out."""
    for message in conversation.messages:
        if message["role"] == "assistant" and message["content"]:
            yield message["content"]
