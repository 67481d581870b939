"""What a model replied to each prompt and what that earned: the rows of `samples.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.core.errors import DataError
from pipeline.core.files import sync
from pipeline.environments import Problem
from pipeline.environments.registry import Asked
from pipeline.inference.completions import Completion, verified

SAMPLES = "samples.jsonl"
"""File of a finished evaluation with a row for every reply."""
SPLITS: tuple[Asked, ...] = ("held_out", "train", "instances")
"""All that a model can be asked, the one that names without a suffix are of first."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply with its score."""

    domain: str
    split: Asked
    """`train`: a prompt that training may have had; `held_out`: another phrasing; `instances`: a task about numbers,
    words or names that no training has."""
    prompt: str
    before: str = ""
    """Turns before the prompt as JSON, where there are any: tools or documents."""
    output: str
    score: float
    """From 0 to 1; 0 without an end."""
    reason: str
    finished: bool
    """Whether the turn ended within the limit of tokens."""
    in_format: bool
    """Whether it ended and has the form of an answer."""

    @property
    def asked(self) -> tuple[str, str, str, str]:
        """What tells its prompt from others."""
        return self.domain, self.split, self.prompt, self.before


def answers_of(completions: Sequence[Completion], splits: Sequence[Asked]) -> list[Answer]:
    """The rows of completions, of which each belongs to a split."""
    return [
        Answer(
            domain=each.problem.environment,
            split=split,
            prompt=each.problem.prompt,
            before=_before(each.problem),
            output=each.text,
            score=each.score,
            reason=each.reason,
            finished=each.ended,
            in_format=each.well_formed,
        )
        for each, split in zip(verified(completions), splits, strict=True)
    ]


def _before(problem: Problem) -> str:
    return json.dumps(problem.before) if problem.before else ""


def write_answers(folder: Path, answers: Iterable[Answer]) -> None:
    """Writes `samples.jsonl` into a folder."""
    partial = folder / f"{SAMPLES}.partial"
    # A lone surrogate has no UTF-8: it becomes its escape, which JSON reads as the same.
    with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for each in answers:
            file.write(json.dumps(asdict(each), ensure_ascii=False) + "\n")
    sync(partial)
    partial.replace(folder / SAMPLES)


def read_answers(folder: Path) -> list[Answer] | None:
    """The rows of a finished evaluation; None for one that has no such file, as of an older version.

    Raises:
        DataError: for a file that was not written by an evaluation.
    """
    path = folder / SAMPLES
    if not path.is_file():
        return None
    try:
        # Not splitlines: a reply may have the separators that it knows beside line feeds.
        return [Answer(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: no rows of an evaluation ({error}), make that stage anew") from None
