"""Many completions verified at once, in processes that share the work and can be killed."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.environments import workers
from pipeline.environments.expressions import is_delimited
from pipeline.environments.in_context import ENVIRONMENT as IN_CONTEXT
from pipeline.environments.mathematics import ENVIRONMENT as MATHEMATICS
from pipeline.environments.numerals import as_number
from pipeline.environments.own import is_own
from pipeline.environments.problem import Problem, Verdict, malformed
from pipeline.environments.registry import prepare, verify
from pipeline.environments.science import ENVIRONMENT as SCIENCE
from pipeline.environments.workers import CPU_SECONDS

CHARACTERS_HERE = 300_000
"""Completions of a batch that is verified in this process, in characters: some 0.1 s of work, less than handing it to
others takes, and far less than starting them."""
NUMERIC = (MATHEMATICS.name, SCIENCE.name, IN_CONTEXT.name, "number")
"""Verifiers whose answer may be a number."""
OWN_CPU_SECONDS = 10.0
"""CPU time of one call of a verifier of one's own, without that of processes that it starts."""


def verify_all(problems: Sequence[Problem], completions: Sequence[str]) -> list[Verdict]:
    """The verdict on each completion of a problem, as `verify` gives it.

    Built-in verifiers of a small batch answer in this process. A large batch, verifiers of one's own and what needs
    algebra are divided over child processes, as many as there are processors for this rank. A completion whose verifier
    takes more CPU time or memory than it may scores 0, with that as its reason, and holds up no other.

    Raises:
        RuntimeError: if a child process does not start.
    """
    large = sum(map(len, completions)) > CHARACTERS_HERE
    elsewhere = [
        place for place, asked in enumerate(zip(problems, completions, strict=True)) if large or not _is_quick(*asked)
    ]
    verdicts: dict[int, Verdict] = {}
    if elsewhere:
        calls = [
            [problem.to_record(), completions[place], OWN_CPU_SECONDS if is_own(problem.environment) else CPU_SECONDS]
            for place, problem in ((place, problems[place]) for place in elsewhere)
        ]
        results = workers.workers().call_each("pipeline.environments.parallel:verify_record", calls)
        for place, result in zip(elsewhere, results, strict=True):
            failed = isinstance(result, workers.CallError)
            verdicts[place] = malformed(str(result)) if failed else Verdict(*result)
    return [
        verdicts[place] if place in verdicts else verify(problem, completion)
        for place, (problem, completion) in enumerate(zip(problems, completions, strict=True))
    ]


def verify_record(record: dict[str, str], completion: str, cpu_seconds: float) -> list[float | str | bool]:
    """In a child process: the verdict on a completion of the problem of a record, as a list of its fields."""
    problem = Problem.from_record(record)
    prepare(problem.environment)
    with workers.limited(cpu_seconds):
        verdict = verify(problem, completion)
    return [verdict.score, verdict.reason, verdict.in_format]


def _is_quick(problem: Problem, completion: str) -> bool:
    """Whether the verifier's time is bounded by the length of what it reads, and short."""
    if is_own(problem.environment):
        return False
    if problem.environment == MATHEMATICS.name and as_number(problem.answer) is None:
        return False
    # A number may be given in LaTeX that has to be computed.
    return problem.environment not in NUMERIC or not is_delimited(completion)
