"""All environments by name, and the two functions that other packages use: `problems` and `verify`."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Literal

from pipeline.core.errors import ConfigError
from pipeline.environments import (
    calibration,
    chat,
    identity,
    in_context,
    instructions,
    logic,
    mathematics,
    science,
    sql,
    structured,
    temporal,
)
from pipeline.environments.answers import abstains
from pipeline.environments.problem import (
    MAX_COMPLETION_CHARACTERS,
    Environment,
    Problem,
    ProblemConfig,
    Verdict,
    malformed,
)

Split = Literal["train", "held_out"]

HELD_OUT_SHARE = 0.2
"""Share of all possible prompts that is kept for evaluation and that no training data may contain."""
REPEATS_BEFORE_NEW_ROUND = 50
"""Prompts drawn in a row that were all drawn before: an environment with so few left begins again."""

ENVIRONMENTS: dict[str, Environment] = {
    environment.name: environment
    for environment in (
        mathematics.ENVIRONMENT,
        science.ENVIRONMENT,
        logic.ENVIRONMENT,
        instructions.ENVIRONMENT,
        structured.ENVIRONMENT,
        sql.ENVIRONMENT,
        temporal.ENVIRONMENT,
        chat.ENVIRONMENT,
        in_context.ENVIRONMENT,
        identity.ENVIRONMENT,
        calibration.ENVIRONMENT,
    )
}
ENVIRONMENT_NAMES = tuple(ENVIRONMENTS)


def split_of(prompt: str) -> Split:
    """The split that a prompt belongs to, a function of the hash of its words.

    Because nothing else decides, no prompt is ever in both splits, whatever the seed, the difficulty or the stage.
    """
    # Case and spacing are left out, so that normalized text falls into the same split.
    canonical = " ".join(prompt.casefold().split())
    share = int.from_bytes(hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
    return "held_out" if share < HELD_OUT_SHARE else "train"


def _environment(name: str) -> Environment:
    if name not in ENVIRONMENTS:
        raise ConfigError(f"no environment {name!r}, the environments are {', '.join(ENVIRONMENT_NAMES)}")
    return ENVIRONMENTS[name]


def _stream(environment: Environment, seed: int, split: Split, problem_config: ProblemConfig) -> Iterator[Problem]:
    """Endless problems of one split, drawn and thrown away where they are of the other or came in this round."""
    draw = random.Random(f"{environment.name}/{seed}/{split}")
    seen: set[str] = set()
    repeats = 0
    while True:
        problem = environment.generate(draw, problem_config)
        if split_of(problem.prompt) != split:
            continue
        if problem.prompt not in seen:
            repeats = 0
            seen.add(problem.prompt)
            yield problem
        elif (repeats := repeats + 1) > REPEATS_BEFORE_NEW_ROUND:
            seen.clear()


def problems(environment: str, count: int, seed: int, split: Split, problem_config: ProblemConfig) -> list[Problem]:
    """`count` problems of one environment and one split: a pure function of the arguments.

    A prompt comes back only after nearly all others of the environment were drawn, and a shorter list is always the
    beginning of a longer one.

    Raises:
        ConfigError: for an environment that does not exist.
    """
    return list(islice(_stream(_environment(environment), seed, split, problem_config), count))


def verify(problem: Problem | Mapping[str, object], completion: str) -> Verdict:
    """Scores a completion by the rules of the problem's environment: a pure function, bounded in time and memory.

    Any text gets a verdict; none raises. A completion longer than MAX_COMPLETION_CHARACTERS scores 0 unread.

    Args:
        problem: the problem, or its record as `Problem.to_record` gives it.
        completion: what the model wrote after the prompt.

    Raises:
        DataError: for a record that is not one of a problem.
    """
    if not isinstance(problem, Problem):
        problem = Problem.from_record(problem)
    if len(completion) > MAX_COMPLETION_CHARACTERS:
        return malformed("too long")
    verdict = _environment(problem.environment).grade(problem, completion)
    if not verdict.in_format and abstains(completion):
        return Verdict(0.0, "abstains")
    return verdict
