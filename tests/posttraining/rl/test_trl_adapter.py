"""Reward functions, without a trainer."""

from pipeline.environments import problems
from pipeline.environments.registry import ENVIRONMENTS
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


def test_a_scorer_takes_the_verifiers_place() -> None:
    rows = dataset_rows(problems("general_chat", 2, 0, "train", EASY) + problems("math", 1, 0, "train", EASY))
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    reward = reward_function("general_chat", END, lambda asked, texts: [0.25] * len(texts))
    responses = [[{"role": "assistant", "content": "x"}]] * 3
    assert reward(completions=responses, completion_ids=[[END], [1], [END]], **columns) == [0.25, 0.0, None]
