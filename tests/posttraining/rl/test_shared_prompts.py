"""Each prompt computed once: the log probabilities, entropies and gradients are those of TRL's own rows."""

from typing import Any

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer
from trl.trainer.grpo_trainer import GRPOTrainer

from pipeline.core.context import StageContext
from pipeline.posttraining.rl import shared_prompts
from pipeline.posttraining.rl.rollouts import own_rollouts
from pipeline.posttraining.rl.shared_prompts import (
    SharedPromptTrainer,
    fill_rows,
    group_completions,
    model_inputs,
    spread,
)
from pipeline.posttraining.rl.train import trainer_arguments
from tests.posttraining.tiny import rl_config, write_model

TOKENS = st.lists(st.integers(3, 9), max_size=4)
BATCHES = st.lists(st.tuples(TOKENS.filter(bool), TOKENS), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("shared")
    write_model(folder)
    checkpoint = str(folder / "checkpoint")
    context: StageContext[Any] = StageContext.for_test(
        "rl_math", rl_config(completions_per_device=512), {}, folder / "stage"
    )
    return SharedPromptTrainer(
        model=checkpoint,
        args=trainer_arguments(context),
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": "1 + 1"}]}]),
        processing_class=AutoTokenizer.from_pretrained(checkpoint),
        reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
        rollout_func=own_rollouts(0),
    )


def batch() -> dict[str, Any]:
    """Five prompts of unequal lengths, left-padded, with completions of 0 to 7 tokens of each, in random order."""
    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(100, 500, (length,), generator=draw).tolist() for length in (1, 3, 12, 6, 6)]
    both = [(prompt, length) for prompt in prompts for length in range(8)]
    order = torch.randperm(len(both), generator=draw)
    rows = [(both[place][0], torch.randint(100, 500, (both[place][1],), generator=draw).tolist()) for place in order]
    ids = torch.tensor([[0] * (12 - len(p)) + p + c + [0] * (7 - len(c)) for p, c in rows])
    mask = torch.tensor([[0] * (12 - len(p)) + [1] * len(p + c) + [0] * (7 - len(c)) for p, c in rows])
    return {"input_ids": ids, "attention_mask": mask, "logits_to_keep": 7}


def measured(trainer: Any, method: Any, **more: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log probabilities, entropies, and all gradients of a weighted sum of both."""
    model = trainer.model
    model.zero_grad()
    found, entropies, _ = method(trainer, model, **batch(), compute_entropy=True, **more)
    weights = torch.linspace(-1, 1, found.numel()).reshape(found.shape)
    ((found + 0.1 * entropies) * weights).sum().backward()
    gradients = torch.cat([each.grad.flatten() for each in model.parameters()])
    return found.detach(), entropies.detach(), gradients


@pytest.mark.parametrize("batch_size", [None, 7])
def test_values_and_gradients_are_trls(trainer: Any, batch_size: int | None) -> None:
    name = "_get_per_token_logps_and_entropies"
    expected = measured(trainer, getattr(GRPOTrainer, name), batch_size=batch_size)
    found = measured(trainer, getattr(SharedPromptTrainer, name), batch_size=batch_size)
    for theirs, ours in zip(expected, found, strict=True):
        assert theirs.abs().max() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_long_groups_take_trls_rows(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = trainer.model.forward
    monkeypatch.setattr(
        trainer.model, "forward", lambda **inputs: seen.append(len(inputs["input_ids"])) or original(**inputs)
    )
    with torch.no_grad():
        trainer._get_per_token_logps_and_entropies(trainer.model, **batch())
        monkeypatch.setattr(shared_prompts, "LONGEST_ROW", 40)
        trainer._get_per_token_logps_and_entropies(trainer.model, **batch())
    assert seen == [5, 40]


@given(BATCHES)
def test_every_token_keeps_its_place_and_sees_what_it_saw(rows: list[tuple[list[int], list[int]]]) -> None:
    groups = group_completions([prompt for prompt, _ in rows], [completion for _, completion in rows])
    assert len(groups) == len({tuple(prompt) for prompt, _ in rows})
    filled = fill_rows(groups)
    inputs = model_inputs(filled, torch.device("cpu"))
    ids, mask, positions = inputs["input_ids"], inputs["attention_mask"], inputs["position_ids"]
    # What a token stands for is all that it sees, in the order of positions: its prompt and its completion up to it.
    seen = [
        [[int(ids[row, other]) for other in mask[row, 0, place].nonzero()[:, 0]] for place in range(1, ids.shape[1])]
        for row in range(len(ids))
    ]
    width = max(1, *(len(completion) for _, completion in rows))
    numbers = torch.arange(ids.numel() - len(ids)).reshape(len(ids), -1) + 1
    places = spread(numbers, filled, (len(rows), width))
    for (prompt, completion), found in zip(rows, places, strict=True):
        for column in range(width):
            if column >= len(completion):
                assert found[column] == 0
                continue
            row, place = divmod(int(found[column]) - 1, ids.shape[1] - 1)
            assert seen[row][place] == prompt + completion[: column + 1]
            assert positions[row, place + 1] == len(prompt) + column
            assert inputs["labels"][row, place + 1] == completion[column]
    assert int((inputs["labels"] != -100).sum()) == sum(len(completion) for _, completion in rows)
