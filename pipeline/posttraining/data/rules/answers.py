"""Replies to questions whose answer is known, held against it by the verifier of the question."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.environments import verify
from pipeline.environments.answers import DOES_NOT_KNOW
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.violation import Violation


def check_answers(conversation: Conversation, closed: Collection[str] = ()) -> Violation | None:
    """Rejects a response that its problem's verifier does not find right, unless it abstains.

    Args:
        conversation: to be checked.
        closed: verifiers that may not decide.
    """
    responses = [message["content"] for message in conversation.messages if message["role"] == "assistant"]
    for problem, response in zip(conversation.problems, responses, strict=False):
        if problem.environment in closed:
            continue
        verdict = verify(problem, response)
        if verdict.score < 1.0 and response != DOES_NOT_KNOW:
            return Violation("verification", verdict.reason, round(verdict.score, 4), 1.0)
    return None
