"""Problems with verifiers: what SFT teaches, RL rewards and evaluation measures."""

from pipeline.environments.problem import Problem, ProblemConfig, Verdict
from pipeline.environments.registry import DOMAINS, problems, split_of, verify

__all__ = ["DOMAINS", "Problem", "ProblemConfig", "Verdict", "problems", "split_of", "verify"]
