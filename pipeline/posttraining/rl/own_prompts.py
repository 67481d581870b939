"""Prompts of one's own files as problems: each row's prompt, its answer, and the verifier that it names."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core.errors import DataError
from pipeline.environments import Problem, split_of
from pipeline.environments.registry import Split, check_problem
from pipeline.posttraining.common.data_files import Place, PromptFile, SetAside, say_aside
from pipeline.posttraining.data.rules import normalize_message
from pipeline.posttraining.data.shapes import CONVERSATIONS, ShapeError, read_prompt
from pipeline.posttraining.rl.config import RlConfig


def file_rows(file: PromptFile, split: Split | None, aside: SetAside) -> list[tuple[Place, Problem]]:
    """The different problems of a file in its order, each with the place of its row.

    Args:
        file: its settings.
        split: which problems, as the prompt's words decide; None for those of both.
        aside: takes the rows that are set aside, of a recipe all that cannot be used.

    Raises:
        DataError: for a file that cannot be read, or a row that cannot be used, with its place.
    """
    found: dict[str, tuple[Place, Problem]] = {}
    for place, problem in file.read(lambda row: _checked(row, file.verifier), aside):
        if split in (None, split_of(problem.prompt)):
            found.setdefault(json.dumps(problem.to_record(), sort_keys=True), (place, problem))
    return list(found.values())


def file_problems(file: PromptFile, split: Split | None = None) -> list[Problem]:
    """The different problems of a file in its order, of one split or both; those that are set aside are not told.

    Raises:
        DataError: for a file that cannot be read, or a row that cannot be used, with its place.
    """
    return [problem for _, problem in file_rows(file, split, [])]


def _checked(row: Mapping[str, Any], verifier: str | None) -> Problem:
    problem = _problem(row, verifier)
    if fault := check_problem(problem):
        raise ShapeError(fault)
    return problem


def check_files(config: RlConfig) -> list[str]:
    """Makes sure that each file has prompts to measure with, and as many different ones as it gives to a step.

    Returns what to say of rows that are set aside.

    Raises:
        DataError: for a file or a row that cannot be used, or too few different rows.
    """
    aside: SetAside = []
    weights = sum(config.domain_weights.values()) + sum(file.weight for file in config.prompt_files)
    # Of a step, what is replayed leaves the rest to the stage's own mixture.
    total = weights / (1 - config.replay_share)
    for file in config.prompt_files:
        if file.missing:
            continue  # The plan names it; the stage fetches it.
        splits = [split_of(problem.prompt) for _, problem in file_rows(file, None, aside)]
        needed = math.ceil(file.weight / total * min(config.prompts_per_step, config.prompts))
        train, held_out = splits.count("train"), splits.count("held_out")
        if train < needed or not held_out:
            raise DataError(
                f"{file.name}: {train} different prompts to train on and {held_out} held out (about a fifth is); a "
                f"step takes {needed} and the measurement at least 1: add prompts, or lower prompts_per_step or weight"
            )
    return say_aside(aside)


def _problem(row: Mapping[str, Any], verifier: str | None) -> Problem:
    """The problem of a row, before its verifier looks at it."""
    if isinstance(row.get("choices"), Mapping) and row.get("answerKey") is not None:
        row = _with_choices(row)
    asked = next((row[key] for key in ("prompt", "question", *CONVERSATIONS) if row.get(key) is not None), None)
    if asked is None:
        raise ShapeError(f"no prompt among {', '.join(row) or 'no keys'}; set prompt, answer and verifier")
    messages = read_prompt(asked)
    if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
        raise ShapeError("the prompt does not end with a turn of the user, set it to one")
    if any("tool_calls" in message or message["role"] == "tool" for message in messages):
        raise ShapeError("the prompt has calls of tools, which no environment answers; remove the row")
    name = row.get("verifier") or verifier
    if not isinstance(name, str):
        raise ShapeError("no verifier; set verifier in the row, or of the file in prompt_files")
    return Problem(
        environment=name,
        prompt=normalize_message(messages[-1]["content"]),
        answer=_answer(row.get("answer")),
        solution="",
        spec=_spec(row.get("spec")),
        before=tuple((each["role"], normalize_message(each["content"])) for each in messages[:-1]),
    )


def _with_choices(row: Mapping[str, Any]) -> dict[str, Any]:
    """A question with `choices` of text and label (ARC): the choices are listed below it, a label is the answer."""
    labels, texts = row["choices"].get("label"), row["choices"].get("text")
    if not isinstance(labels, list) or not isinstance(texts, list) or len(labels) != len(texts):
        raise ShapeError("choices are no lists of text and label of the same length, set such lists")
    listed = [f"{label}. {text}" for label, text in zip(labels, texts, strict=True)]
    question = "\n".join([str(row.get("question", "")), *listed, "Answer with the letter alone."])
    return {**row, "question": question, "answer": row["answerKey"], "spec": {"candidates": labels}}


def _answer(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _spec(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ShapeError("spec is text that is no JSON, correct it") from None
    if value is not None and not isinstance(value, Mapping):
        raise ShapeError(f"spec is a {type(value).__name__}, set an object")
    # Parquet gives every row the keys of all others.
    return {key: each for key, each in (value or {}).items() if each is not None}


def user_turns(problem: Problem) -> Iterator[str]:
    """All that the user says in a problem: the turns before the prompt, and the prompt."""
    yield from (text for role, text in problem.before if role == "user")
    yield problem.prompt
