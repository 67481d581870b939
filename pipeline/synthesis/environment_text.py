"""Problems of the environments as plain text: what a later stage rewards is met in pretraining.

Only the training split is asked for, and every answer is graded by the environment's own verifier.
"""

import random
from collections.abc import Iterator

from pipeline.environments import DOMAINS, Problem, ProblemConfig, problems, verify
from pipeline.synthesis.config import ASSISTANT
from pipeline.synthesis.sample import Sample

PROBLEMS_PER_DOCUMENT = 6
"""Problems are a line or two each: single ones would make a corpus of document ends."""
REASONED = ("math", "logical_reasoning", "temporal_reasoning", "science")
"""Domains whose solutions argue, for `long_cot`."""


def samples(
    count: int, difficulty: int, seed: int, domain: str, environments: tuple[str, ...] = DOMAINS
) -> Iterator[Sample]:
    """`count` problems of the environments together, mixed, several to a document."""
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
            None if wrong is None else f"verifier_refuses_{wrong.domain}",
        )
