"""All environments by domain, and the two calls everything else uses: `problems` and `verify`."""

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
"""Share of all possible prompts that no training data may contain."""

ENVIRONMENTS: dict[str, Environment] = {
    environment.domain: environment
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
DOMAINS = tuple(ENVIRONMENTS)


def split_of(prompt: str) -> Split:
    """The split a prompt belongs to, decided by its words alone, so that the two never share a prompt."""
    # Case and spacing are left out, so that normalised text falls into the same split.
    canonical = " ".join(prompt.casefold().split())
    place = int.from_bytes(hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
    return "held_out" if place < HELD_OUT_SHARE else "train"


def _environment(domain: str) -> Environment:
    if domain not in ENVIRONMENTS:
        raise ConfigError(f"no environment {domain!r}, the environments are {', '.join(DOMAINS)}")
    return ENVIRONMENTS[domain]


def _stream(environment: Environment, seed: int, split: Split, options: ProblemConfig) -> Iterator[Problem]:
    draw = random.Random(f"{environment.domain}/{seed}/{split}")
    seen: set[str] = set()
    misses = 0
    while True:
        problem = environment.generate(draw, options)
        if split_of(problem.prompt) != split:
            continue
        if problem.prompt not in seen:
            misses = 0
            seen.add(problem.prompt)
            yield problem
        elif (misses := misses + 1) > 50:
            # All prompts there are, or nearly, have had their turn: begin the next round.
            seen.clear()


def problems(domain: str, count: int, seed: int, split: Split, options: ProblemConfig) -> list[Problem]:
    """`count` problems of a domain, a pure function of the arguments.

    A prompt comes back only after nearly all others of the domain have been posed, and a shorter list is
    always the beginning of a longer one. Raises ConfigError for an unknown domain.
    """
    return list(islice(_stream(_environment(domain), seed, split, options), count))


def verify(problem: Problem | Mapping[str, object], completion: str) -> Verdict:
    """Grade a completion: a pure function, total on any text, bounded in time and memory.

    `problem` may be a record of `Problem.to_record`; a record that is none raises DataError.
    """
    if not isinstance(problem, Problem):
        problem = Problem.from_record(problem)
    if len(completion) > MAX_COMPLETION_CHARACTERS:
        return malformed("too long")
    verdict = _environment(problem.domain).grade(problem, completion)
    if not verdict.in_format and abstains(completion):
        return Verdict(0.0, "abstains")
    return verdict
