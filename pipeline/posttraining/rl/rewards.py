"""Reward functions for GRPO: one per domain, silent on other domains' rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.environments import Problem
from pipeline.posttraining.common.sampling import Scorer, grade

RewardFunction = Callable[..., list[float | None]]


def _texts(completions: Sequence[Any]) -> list[str]:
    """The assistant's text of each conversational completion."""
    return [completion[0]["content"] for completion in completions]


def reward_function(domain: str, end_token: int, scorer: Scorer | None = None) -> RewardFunction:
    """The reward of a domain: its verifier's score, or the scorer's; 0 for a completion that never ended.

    TRL calls it with one completion per row and the dataset's columns; None says "not my row".
    """

    def reward(
        completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], **columns: Any
    ) -> list[float | None]:
        rewards: list[float | None] = [None] * len(completions)
        mine = [place for place, other in enumerate(columns["domain"]) if other == domain]
        keys = ("domain", "question", "answer", "spec")
        rows = [{key: columns[key][place] for key in keys} for place in mine]
        posed = [Problem.from_record({**row, "prompt": row["question"]}) for row in rows]
        texts = _texts([completions[place] for place in mine])
        ended = [end_token in completion_ids[place][-1:] for place in mine]
        if scorer is None:
            scores = [grade(*each).score for each in zip(posed, texts, ended, strict=True)]
        else:
            scores = [score if end else 0.0 for score, end in zip(scorer(posed, texts), ended, strict=True)]
        for place, score in zip(mine, scores, strict=True):
            rewards[place] = score
        return rewards

    # TRL logs rewards/<name>/mean by the function's name.
    reward.__name__ = domain
    return reward
