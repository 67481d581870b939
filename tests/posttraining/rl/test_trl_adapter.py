"""Reward functions, without a trainer."""

import pytest

from pipeline.environments import problems
from pipeline.environments.registry import ENVIRONMENTS
from pipeline.posttraining.common.reward_config import RewardConfig
from pipeline.posttraining.common.rewards import RewardRule
from pipeline.posttraining.rl.prompts import dataset_rows
from pipeline.posttraining.rl.trl_adapter import reward_function
from tests.settings import EASY

END = 7


def test_each_domain_is_rewarded_by_its_own_function() -> None:
    drawn = [problem for domain in ENVIRONMENTS for problem in problems(domain, 2, 0, "train", EASY)]
    rows = dataset_rows(drawn)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    responses = [[{"role": "assistant", "content": problem.solution}] for problem in drawn]
    ended, cut = [[1, END]] * len(drawn), [[1, 2]] * len(drawn)
    for domain in ENVIRONMENTS:
        reward = reward_function(domain, END)
        assert reward.__name__ == domain
        expected = [1.0 if problem.environment == domain else None for problem in drawn]
        assert reward(completions=responses, completion_ids=ended, **columns) == expected
        assert 1.0 not in reward(completions=responses, completion_ids=cut, **columns)


def test_a_composed_reward_logs_its_parts() -> None:
    """The gate refuses what the verifier does; parts are logged of the domain's own completions alone."""
    drawn = problems("general_chat", 3, 0, "train", EASY) + problems("math", 1, 0, "train", EASY)
    rows = dataset_rows(drawn)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    metrics: dict[str, float] = {}
    extra: dict[str, list[float | None]] = {}
    rule = RewardRule(RewardConfig(gate="verifier", score={"reward_model": 1.0}), lambda asked, texts: [0.25, 0.75, 1])
    reward = reward_function("general_chat", END, rule)
    texts = [drawn[0].solution, "That is stupid.", drawn[2].solution, drawn[3].solution]
    values = reward(
        completions=[[{"role": "assistant", "content": text}] for text in texts],
        completion_ids=[[END], [END], [1], [END]],
        log_metric=metrics.__setitem__,
        log_extra=extra.__setitem__,
        **columns,
    )
    assert values == [0.25, 0.0, 0.0, None], "scored, refused, cut off, of another domain"
    assert metrics == {
        "rewards/general_chat/verifier": pytest.approx(2 / 3),
        "rewards/general_chat/reward_model": pytest.approx(2 / 3),
        "rewards/general_chat/gate": pytest.approx(2 / 3),
    }
    assert extra == {
        "general_chat/verifier": [1.0, 0.0, 1.0, None],
        "general_chat/reward_model": [0.25, 0.75, 1, None],
        "general_chat/gate": [1.0, 0.0, 1.0, None],
    }
