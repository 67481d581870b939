from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.core.errors import Requeue
from pipeline.environments import ProblemConfig, problems
from pipeline.inference.completions import Completion
from pipeline.posttraining.common.config import EvalSamplingConfig
from pipeline.posttraining.common.eval_sampling import EvalResult, eval_problems, evaluate_by_sampling
from tests.posttraining.tiny import EVAL_SAMPLING, PROBLEMS, write_model
from tests.settings import EASY


def test_sampling_is_the_same_every_time_and_leaves_the_random_state(tmp_path: Path) -> None:
    write_model(tmp_path)
    eval_sampling = EvalSamplingConfig(**EVAL_SAMPLING)
    held_out = eval_problems(["math", "identity"], eval_sampling, ProblemConfig(**PROBLEMS))
    state = torch.get_rng_state()
    first = evaluate_by_sampling(tmp_path / "checkpoint", held_out, eval_sampling, 8)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(5)
    assert evaluate_by_sampling(tmp_path / "checkpoint", held_out, eval_sampling, 8) == first
    assert [each.problem for each in first.completions] == [problem for problem in held_out for _ in range(2)]


def test_a_stop_is_looked_at_after_every_batch(tmp_path: Path) -> None:
    write_model(tmp_path)
    eval_sampling = EvalSamplingConfig(**{**EVAL_SAMPLING, "batch_size": 3})
    held_out = eval_problems(["math", "identity"], eval_sampling, ProblemConfig(**PROBLEMS))
    looks: list[int] = []

    def stop_at_the_second() -> None:
        looks.append(1)
        if len(looks) == 2:
            raise Requeue

    with pytest.raises(Requeue):
        evaluate_by_sampling(tmp_path / "checkpoint", held_out, eval_sampling, 8, between=stop_at_the_second)
    assert len(looks) == 2
    evaluate_by_sampling(tmp_path / "checkpoint", held_out, eval_sampling, 8, between=lambda: looks.append(1))
    # Two problems of two environments, two replies to each: eight in batches of three.
    assert len(looks) == 2 + 3


def test_metrics_are_means_over_environments() -> None:
    result = EvalResult({"math": 1.0, "identity": 0.5}, {"math": 1.0, "identity": 0.0}, [])
    assert result.reward == 0.75
    assert result.metrics("after") == {
        "reward/after": 0.75, "in_format/after": 0.5, "reward/math/after": 1.0, "reward/identity/after": 0.5,
        "in_format/math/after": 1.0, "in_format/identity/after": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 20])
def test_samples_are_spread_over_the_completions(count: int) -> None:
    asked = problems("math", count, 0, "held_out", EASY)
    result = EvalResult({}, {}, [Completion(problem, str(number), True) for number, problem in enumerate(asked)])
    assert [each["answer"] for each in result.samples()] == {1: ["0"], 2: ["0", "1"], 20: ["0", "6", "12"]}[count]


def test_verified_accuracy_is_of_different_prompts_and_of_verifiers_alone() -> None:
    first, second = problems("math", 2, 0, "held_out", EASY)
    judged = replace(first, environment="reward_model")
    told = [(first, first.answer, True), (first, "x", True), (first, first.answer, True), (second, "4", False),
            (judged, "Yes.", True)]  # fmt: skip
    result = EvalResult(
        {"math": 0.5, "reward_model": 1.0}, {"math": 1.0, "reward_model": 1.0}, [Completion(*each) for each in told]
    )
    assert result.verified() == {"math": [pytest.approx(2 / 3), 0.0]}
    part = result.of({"reward_model"})
    assert (part.reward, len(part.completions)) == (1.0, 1)
