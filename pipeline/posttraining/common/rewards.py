"""The reward of a chat model's completion: the verifier's score or the reward model's, and 0 for one that did not end.

Training and evaluation compute it here: `rl.trl_adapter` hands it to TRL, `eval_sampling` averages it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.environments import Problem
from pipeline.inference.completions import Completion, verified

Scorer = Callable[[Sequence[Problem], Sequence[str]], list[float]]
"""Problems and as many completions → a score from 0 to 1 for each: what may stand in for an environment's verifier."""


def rewards_of(completions: Sequence[Completion], scorer: Scorer | None = None) -> list[float]:
    """The reward of each completion, from 0 to 1.

    It is the verifier's score, or the scorer's if there is one; a completion that did not end has 0 in either case.

    Args:
        completions: of one environment's problems.
        scorer: what stands in for the environment's verifier.
    """
    if scorer is None:
        verified([each for each in completions if each.ended])
        return [each.verdict.score if each.ended else 0.0 for each in completions]
    scores = scorer([each.problem for each in completions], [each.text for each in completions])
    return [score if each.ended else 0.0 for score, each in zip(scores, completions, strict=True)]
