from pathlib import Path

import pytest
import torch
from torch import distributed

from pipeline.environments import problems
from pipeline.inference.completions import Completion, complete_problems, generate, group_by_environment
from pipeline.inference.loading import LoadedModel, load_model
from tests.distributed import run_on_ranks, save
from tests.posttraining.tiny import write_model
from tests.settings import EASY


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    write_model(directory)
    return directory / "checkpoint"


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> LoadedModel:
    return load_model(checkpoint)


def test_batches_of_unequal_prompts_complete_as_alone(loaded: LoadedModel) -> None:
    prompts = ["What is 1 + 1?", "Name the capital of France, please, and do it with care.", "Hi"]
    together = generate(loaded, prompts, 6)
    assert together == [generate(loaded, [prompt], 6)[0] for prompt in prompts]


def test_completions_are_in_the_order_of_their_problems_whatever_the_batches(loaded: LoadedModel) -> None:
    asked = problems("math", 3, 0, "held_out", EASY) + problems("identity", 2, 0, "held_out", EASY)
    done: list[int] = []
    completions = complete_problems(loaded, asked, 2, 6, report=done.append)
    assert done == [2, 2, 1]
    assert [completion.problem for completion in completions] == asked
    assert complete_problems(loaded, asked, 5, 6) == completions
    assert [len(own) for own in group_by_environment(completions).values()] == [3, 2]


def test_samples_follow_the_seed_and_leave_the_random_state(loaded: LoadedModel) -> None:
    asked = problems("math", 3, 0, "held_out", EASY)
    state = torch.get_rng_state()
    first = complete_problems(loaded, asked, 4, 6, samples_per_prompt=2, sampling_seed=1)
    assert torch.equal(state, torch.get_rng_state())
    assert [completion.problem for completion in first] == [problem for problem in asked for _ in range(2)]
    torch.manual_seed(5)
    assert complete_problems(loaded, asked, 1, 6, samples_per_prompt=2, sampling_seed=1) == first
    assert complete_problems(loaded, asked, 4, 6, samples_per_prompt=2, sampling_seed=2) != first


def test_a_right_answer_that_was_cut_off_scores_0_and_is_not_well_formed() -> None:
    problem = problems("math", 1, 0, "held_out", EASY)[0]
    ended, cut = (Completion(problem, problem.solution, ended) for ended in (True, False))
    assert (ended.score, ended.reason, ended.well_formed) == (1.0, "right", True)
    assert (cut.score, cut.reason, cut.well_formed) == (0.0, "unfinished", False)
    assert cut.verdict == ended.verdict


def _on_a_rank(checkpoint: Path, result: Path) -> None:
    distributed.init_process_group("gloo")
    asked = problems("math", 5, 0, "held_out", EASY)
    loaded = load_model(checkpoint)
    completions = complete_problems(loaded, asked, 2, 6)
    assert [completion.problem for completion in completions] == asked
    completions += complete_problems(loaded, asked, 3, 6, samples_per_prompt=2, sampling_seed=1)
    save(result, [completion.text for completion in completions])


@pytest.mark.slow
def test_ranks_share_the_problems(checkpoint: Path, loaded: LoadedModel, tmp_path: Path) -> None:
    run_on_ranks(_on_a_rank, 2, checkpoint, tmp_path / "texts")
    asked = problems("math", 5, 0, "held_out", EASY)
    alone = complete_problems(loaded, asked, 2, 6)
    alone += complete_problems(loaded, asked, 10, 6, samples_per_prompt=2, sampling_seed=1)
    assert torch.load(tmp_path / "texts") == [completion.text for completion in alone]
