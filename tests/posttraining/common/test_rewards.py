"""What a completion is rewarded with."""

from pipeline.environments import problems
from pipeline.inference.completions import Completion
from pipeline.posttraining.common.rewards import rewards_of
from tests.settings import EASY


def test_a_completion_that_did_not_end_has_no_reward() -> None:
    problem = problems("math", 1, 0, "held_out", EASY)[0]
    ended, cut = (Completion(problem, problem.solution, ended) for ended in (True, False))
    assert rewards_of([ended, cut]) == [1.0, 0.0]
    assert rewards_of([ended, cut], lambda asked, texts: [0.25] * len(texts)) == [0.25, 0.0]
