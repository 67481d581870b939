"""Problems of the environments as plain text, so that pretraining has seen what reinforcement learning rewards.

All problems are of the training split, and every answer is checked by the environment's own verifier.
"""

import random
from collections.abc import Iterator

from pipeline.environments import ENVIRONMENT_NAMES, Problem, ProblemConfig, problems, verify
from pipeline.synthesis.config import ASSISTANT
from pipeline.synthesis.sample import Sample

PROBLEMS_PER_DOCUMENT = 6
"""Problems that share a document. They are a line or two each: alone they would make a corpus of document ends."""
REASONED = ("math", "logical_reasoning", "temporal_reasoning", "science")
"""Environments whose solutions give reasons, for the domain `long_cot`."""


def samples(
    count: int, difficulty: int, seed: int, domain: str, environments: tuple[str, ...] = ENVIRONMENT_NAMES
) -> Iterator[Sample]:
    """About `count` problems of the environments together, in random order, several to a document.

    Args:
        count: problems of all environments together, which have equal shares of it, rounded up.
        difficulty: of the problems, from 1 to 3.
        seed: of the problems, and with the domain of their order.
        domain: domain of the training data that the samples go to.
        environments: names of the environments.
    """
    drawn: list[Problem] = []
    for environment in environments:
        drawn += problems(
            environment,
            -(-count // len(environments)),
            seed,
            "train",
            ProblemConfig(difficulty=difficulty, assistant=ASSISTANT),
        )
    draw = random.Random(f"{seed}/{domain}")
    draw.shuffle(drawn)
    for start in range(0, len(drawn), PROBLEMS_PER_DOCUMENT):
        page = drawn[start : start + PROBLEMS_PER_DOCUMENT]
        text = "\n\n".join(f"Question: {problem.prompt}\nAnswer: {problem.solution}" for problem in page)
        wrong = next((problem for problem in page if verify(problem, problem.solution).score < 1.0), None)
        yield Sample(
            domain,
            f"environments/{start // PROBLEMS_PER_DOCUMENT:06d}",
            text,
            "graded",
            tuple(problem.prompt for problem in page),
            None if wrong is None else f"verifier_refuses_{wrong.environment}",
        )
