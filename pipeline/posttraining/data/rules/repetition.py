"""Replies that say the same again and again, as a degenerate model does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.violation import MAXIMUM_EVIDENCE, Violation, replies_of

LONGEST = 16
"""Words of the longest phrase, and lines of the longest paragraph, whose repetition is looked for."""


def check_repetition(conversation: Conversation, maximum: int) -> Violation | None:
    """Rejects a reply that says a phrase or lines more than `maximum` times in a row.

    In a row: poems, tables and code repeat lines in between others. A question that asks for repetition gets its answer
    if it is one of the built-in ones, whose verifiers count.
    """
    if conversation.problems:
        return None
    for reply in replies_of(conversation):
        for units, sign in ((reply.split(), " "), ([line for line in reply.split("\n") if line.strip()], "\n")):
            # No phrase comes more often than the word in it that comes most often.
            if max(Counter(units).values(), default=0) <= maximum:
                continue
            count, unit = most_in_a_row(units)
            if count > maximum:
                return Violation("repetition", sign.join(unit)[:MAXIMUM_EVIDENCE], count, maximum)
    return None


def most_in_a_row(units: Sequence[str]) -> tuple[int, Sequence[str]]:
    """How often the sequence of at most LONGEST units that is repeated most comes in a row, and that sequence."""
    found: tuple[int, Sequence[str]] = (min(len(units), 1), units[:1])
    for length in range(1, LONGEST + 1):
        run = 0
        for place in range(length, len(units)):
            run = run + 1 if units[place] == units[place - length] else 0
            # A run of as many equal units as the phrase has is one more time.
            if run // length + 1 > found[0]:
                found = run // length + 1, units[place - length + 1 : place + 1]
    return found
