"""TRL's reward functions: one for each environment, which rewards completions of its problems and no others.

They only bring rewards into the form that TRL asks for: `common.rewards` computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.environments import Problem
from pipeline.inference.completions import Completion
from pipeline.posttraining.common.rewards import Reward, RewardRule

RewardFunction = Callable[..., list[float | None]]
"""A batch of completions and the dataset's columns → a reward for each, or None where it rewards none."""


def reward_function(environment: str, end_token: int, rule: RewardRule | None = None) -> RewardFunction:
    """The reward function of an environment, which TRL's GRPOTrainer calls with completions of all of them.

    Where a reward has parts, the mean of each is logged as `rewards/<environment>/<part>`, and the table of completions
    gets a column `<environment>/<part>`.

    Args:
        environment: whose problems' completions it rewards; for others it returns None, which TRL leaves out.
        end_token: id of the token that ends a turn. A completion whose last token is another one was cut off at the
            limit, and has reward 0.
        rule: what its completions are rewarded by; None is the environment's verifier.
    """

    rule = rule or RewardRule()

    def reward(
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        log_metric: Callable[[str, float], None] = lambda name, value: None,
        log_extra: Callable[[str, list[Any]], None] = lambda column, values: None,
        **columns: Any,
    ) -> list[float | None]:
        places = [place for place, other in enumerate(columns["domain"]) if other == environment]
        sampled = [
            Completion(
                _problem(columns, place), completions[place][0]["content"], end_token in completion_ids[place][-1:]
            )
            for place in places
        ]
        found: list[Reward | None] = [None] * len(completions)
        for place, each in zip(places, rule(sampled), strict=True):
            found[place] = each
        for part in rule.parts:
            # A column has a value for each completion of the batch, whoever rewards it.
            log_extra(f"{environment}/{part}", [each.parts[part] if each else None for each in found])
            values = [each.parts[part] for each in found if each]
            if values:
                log_metric(f"rewards/{environment}/{part}", sum(values) / len(values))
        return [each.value if each else None for each in found]

    # TRL logs rewards/<name>/mean by the function's name.
    reward.__name__ = environment
    return reward


def _problem(columns: dict[str, Any], place: int) -> Problem:
    """The problem of a row of `prompts.dataset_rows`; TRL makes its column `prompt` a conversation."""
    names = ("domain", "question", "answer", "spec", "before")
    row = {key: columns[key][place] for key in names if key in columns}
    return Problem.from_record({**row, "prompt": row["question"]})
