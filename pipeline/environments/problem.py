"""What every environment deals in: problems, verdicts, and the pair of functions that makes an environment."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

from pydantic import Field

from pipeline.core.errors import DataError

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAX_COMPLETION_CHARACTERS = 65_536
"""Longest completion that a verifier looks at: 8,192 tokens, the longest context of the RL stages, at eight
characters a token. This bounds every verifier's work."""


@dataclass(frozen=True, kw_only=True)
class ProblemConfig:
    """What a stage chooses about the problems that it draws."""

    difficulty: Annotated[int, Field(ge=1, le=3)]
    """1: one-step problems with replies of at most two dozen tokens, in reach of a million parameters;
    2: two or three steps, for some hundred million parameters; 3: problems for billions of parameters."""
    assistant: str
    """The name the model is to give when asked who it is."""

    def __post_init__(self) -> None:
        if not self.assistant.strip():
            raise ValueError("assistant is empty, set it to the name the model shall give")


@dataclass(frozen=True)
class Problem:
    """One prompt with everything that its verifier needs."""

    environment: str
    """Name of the environment that made the problem and that grades it."""
    prompt: str
    """The user's turn."""
    answer: str
    """The reference answer in its canonical form."""
    solution: str
    """A complete reply of an assistant that the verifier scores 1.0."""
    spec: dict[str, JSON]
    """What the verifier needs beside the answer, e.g. the schema or the tables."""
    before: tuple[tuple[str, str], ...] = ()
    """Turns before the prompt, each a role and its text: a system turn with tools or documents (`system_turns`)."""

    def to_record(self) -> dict[str, str]:
        """The problem as a flat row of strings, for data sets and files; `spec` and `before` are JSON."""
        return {
            "domain": self.environment,
            "prompt": self.prompt,
            "answer": self.answer,
            "solution": self.solution,
            "spec": json.dumps(self.spec, sort_keys=True),
            **({"before": json.dumps(self.before)} if self.before else {}),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Problem:
        """Reads a row that `to_record` wrote, and ignores further columns.

        Raises:
            DataError: if a column is missing or `spec` is not a JSON object. The records are this project's own, so a
                broken one is an error and never a score of 0.
        """
        spec = record.get("spec", {})
        if isinstance(spec, str):
            try:
                spec = json.loads(spec)
            except ValueError as error:
                raise DataError(f"the problem's spec is not JSON: {error}") from error
        if not isinstance(spec, dict):
            raise DataError(f"the problem's spec is a {type(spec).__name__}, not an object")
        missing = [name for name in ("domain", "prompt", "answer") if not isinstance(record.get(name), str)]
        if missing:
            raise DataError(f"the problem record lacks the text column {missing[0]!r}")
        return cls(
            environment=str(record["domain"]),
            prompt=str(record["prompt"]),
            answer=str(record["answer"]),
            solution=str(record.get("solution", "")),
            spec=spec,
            before=tuple((str(role), str(text)) for role, text in json.loads(str(record.get("before") or "[]"))),
        )


@dataclass(frozen=True)
class Verdict:
    """What a verifier says of one completion."""

    score: float
    """From 0 (wrong) to 1 (right)."""
    reason: str
    """Why, in a few words, for logs and removal rows."""
    in_format: bool = True
    """Whether the completion has the form of an answer in its environment, right or wrong, or says plainly that
    it does not know."""


RIGHT = Verdict(1.0, "right")
WRONG = Verdict(0.0, "wrong answer")


def malformed(reason: str) -> Verdict:
    """The verdict on a completion that does not have the form of an answer: score 0, `in_format` false."""
    return Verdict(0.0, reason, in_format=False)


Grade = Callable[[Problem, str], Verdict]
"""A verifier: a problem and a completion of at most MAX_COMPLETION_CHARACTERS → a verdict. It gives one on any text,
raises nothing, and changes nothing."""


Generate = Callable[[random.Random, ProblemConfig], Problem]
"""Draws one problem; everything random comes from the generator that is passed in."""


@dataclass(frozen=True)
class Environment:
    """A kind of problem: how one is made, and how a completion is graded."""

    name: str
    """What configurations, records and metrics call it."""
    generate: Generate
    """Draws one problem."""
    grade: Grade
    """Grades a completion."""
    new_instances: Mapping[int, Generate] = field(default_factory=dict)
    """By difficulty, what draws problems of the same kind about numbers, words or names that `generate` never uses, at
    any difficulty. Only measurements ask for them, so no training can have had them."""
