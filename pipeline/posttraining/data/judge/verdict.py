"""The judge's verdict: the schema that it must keep to, how a reply is read, and what its scores lead to."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from jsonschema import Draft202012Validator

from pipeline.environments.answers import unfenced
from pipeline.posttraining.data.judge.config import DIMENSIONS, FLAGS, HIGHEST, LOWEST, JudgeConfig

Outcome = Literal["accept", "borderline", "reject", "unparsed", "unanswered"]
"""`unparsed` is a verdict that could not be read, `unanswered` none at all: the request failed or cost too much."""
MAXIMUM_WORDING = 500
"""Characters of a reason or a quotation that are kept."""
ROUNDED_TO = 4
"""Digits of a score after the point."""


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_TEXT = {"type": "string"}
SCHEMA = _object(
    {
        "id": _TEXT,
        "scores": _object(
            {
                name: _object({"reason": _TEXT, "score": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST}})
                for name in DIMENSIONS
            }
        ),
        "flags": _object({name: _object({"evidence": _TEXT, "found": {"type": "boolean"}}) for name in FLAGS}),
    }
)
"""JSON schema of a verdict. Reasons come before what they are given for, so that a model thinks first."""
_VALIDATOR = Draft202012Validator(SCHEMA)


class UnreadableVerdict(ValueError):
    """A reply that is no verdict; the message says why, in words that the judge can be told."""


@dataclass(frozen=True)
class Decision:
    """What is decided on one conversation, with the evidence."""

    conversation: str
    """The conversation's id."""
    outcome: Outcome
    removed: bool
    """Whether the conversation goes: never where the judge may not gate."""
    types: tuple[str, ...] = ()
    """Types of the conversation, whose notes the judge was given."""
    score: float | None = None
    """Weighted mean of the scores; None without a verdict."""
    scores: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Of each score, in the judge's words."""
    flags: dict[str, str] = field(default_factory=dict)
    """What was found of FLAGS, with the words quoted for it."""
    failure: str = ""
    """Why there is no verdict, if so."""

    def log_row(self) -> dict[str, Any]:
        """The row of `judged.jsonl` for the conversation, with scores, reasons and evidence."""
        return {
            "id": self.conversation,
            "decision": self.outcome,
            "removed": self.removed,
            "types": list(self.types),
            "score": self.score,
            "scores": self.scores,
            "reasons": self.reasons,
            "flags": self.flags,
            **({"failure": self.failure} if self.failure else {}),
        }


def read_verdict(reply: str, identity: str) -> dict[str, Any]:
    """The verdict in a reply that is one JSON object by SCHEMA, with the id of the conversation that was judged.

    A text in a conversation can hold a whole verdict for the judge to repeat; it cannot hold the id, which is a hash
    of itself.

    Raises:
        UnreadableVerdict: for any other reply.
    """
    try:
        verdict = json.loads(unfenced(reply))
    except (ValueError, RecursionError):
        raise UnreadableVerdict("it is not one JSON object") from None
    error = next(iter(_VALIDATOR.iter_errors(verdict)), None)
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or "the object"
        # The message quotes the reply, which may be long.
        raise UnreadableVerdict(f"{place}: {error.message[:200]}")
    if verdict["id"] != identity:
        raise UnreadableVerdict("id is not that of the conversation")
    return verdict


def decide(config: JudgeConfig, conversation: str, types: tuple[str, ...], verdict: dict[str, Any]) -> Decision:
    """What a verdict leads to, as if the judge may gate.

    The score is the mean of the dimensions by their weights; a flag that is a hard reject goes before it.
    """
    scores = {name: verdict["scores"][name]["score"] for name in DIMENSIONS}
    total = sum(config.weights.values())
    score = round(sum(config.weights[name] * scores[name] for name in DIMENSIONS) / total, ROUNDED_TO)
    flags = {
        name: verdict["flags"][name]["evidence"][:MAXIMUM_WORDING] for name in FLAGS if verdict["flags"][name]["found"]
    }
    outcome: Outcome = "accept" if score >= config.accept else "borderline" if score >= config.reject else "reject"
    if set(flags) & set(config.hard_rejects):
        outcome = "reject"
    return Decision(
        conversation,
        outcome,
        removed=outcome == "reject" or (outcome == "borderline" and config.borderline == "remove"),
        types=types,
        score=score,
        scores=scores,
        reasons={name: verdict["scores"][name]["reason"][:MAXIMUM_WORDING] for name in DIMENSIONS},
        flags=flags,
    )
