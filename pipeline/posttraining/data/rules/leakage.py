"""Questions that no training data may hold: those held out for evaluation, and items of benchmarks."""

from __future__ import annotations

from pipeline.curation.decontamination.prompts import PromptIndex
from pipeline.environments import split_of
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.violation import Violation


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
