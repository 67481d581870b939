"""Problems with verifiers: what SFT teaches, RL rewards and evaluation measures."""

from pipeline.environments.problem import Options, Problem, Verdict
from pipeline.environments.registry import DOMAINS, problems, split_of, verify

__all__ = ["DOMAINS", "Options", "Problem", "Verdict", "problems", "split_of", "verify"]
