"""Environments: seeds turned into problems with known answers, and completions turned into scores.

An environment makes problems of one kind and has a verifier for them. `problems` draws from it, `verify` scores a
completion and `verify_all` many, `split_of` says which prompts are held out. The same problems are text for synthesis,
conversations for SFT, prompts with rewards for RL, and the accuracy that evaluation measures, for which
`distinct_problems` draws each prompt once.
"""

from pipeline.environments.parallel import verify_all
from pipeline.environments.problem import Problem, ProblemConfig, Verdict
from pipeline.environments.registry import ENVIRONMENT_NAMES, distinct_problems, problems, split_of, verify

__all__ = [
    "ENVIRONMENT_NAMES", "Problem", "ProblemConfig", "Verdict", "distinct_problems", "problems", "split_of", "verify",
    "verify_all",
]  # fmt: skip
