"""The reward model's head, its scores, and the scale of its rewards."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.integrations.deepspeed import HfDeepSpeedConfig

from pipeline.core.errors import CheckpointError
from pipeline.environments import problems
from pipeline.inference.conversation_ids import to_messages
from pipeline.posttraining.common.rewards import Scorer
from pipeline.posttraining.reward.scoring import (
    RewardModel,
    ensemble,
    load_reward_model,
    raw_scores,
    write_reward_scale,
)
from pipeline.pretraining.engine.distributed import gather_objects, rank
from pipeline.pretraining.engine.engine import join_process_group
from pipeline.pretraining.model.architecture import GraniteForSequenceClassification, register_reward_heads
from tests.distributed import run_on_ranks, save
from tests.settings import EASY


def test_granite_has_a_head_and_the_scale_is_logistic(checkpoint: Path, tmp_path: Path) -> None:
    register_reward_heads()
    model = load_reward_model(checkpoint)
    assert isinstance(model, GraniteForSequenceClassification)
    assert torch.equal(model.score.weight, load_reward_model(checkpoint).score.weight), "the new head is seeded"
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model.config.pad_token_id = tokenizer.pad_token_id
    folder = tmp_path / "checkpoint"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    drawn = problems("general_chat", 6, 0, "train", EASY)
    responses = [p.solution for p in drawn]
    conversations = [to_messages(p.prompt, p.solution) for p in drawn]
    one = raw_scores(model, tokenizer, conversations, 64, 1)
    assert raw_scores(model, tokenizer, conversations, 64, 4) == pytest.approx(one, abs=1e-5)
    with pytest.raises(CheckpointError, match="reward_scale"):
        RewardModel(folder, 64, 4)
    with pytest.raises(CheckpointError, match="learned nothing"):
        write_reward_scale(folder, rejected=1.0, chosen=1.0)
    low, high = sorted(one)[1], sorted(one)[-2]
    write_reward_scale(folder, rejected=low, chosen=high)
    rewards = RewardModel(folder, 64, 4)(drawn, responses)
    # 0.1 and 0.9 at the two scores of the scale: log-odds of +-ln 9, linear in the score.
    expected = [1 / (1 + 9 ** -(2 * (score - low) / (high - low) - 1)) for score in one]
    assert rewards == pytest.approx(expected, abs=1e-4)
    assert [rewards[one.index(score)] for score in (low, high)] == pytest.approx([0.1, 0.9], abs=1e-3)
    ranked = [reward for _, reward in sorted(zip(one, rewards, strict=True))]
    assert ranked == sorted(ranked)
    assert 0 < ranked[0] < 0.1 < 0.9 < ranked[-1] < 1, "better than the mean chosen reply is rewarded more"
    assert AutoConfig.from_pretrained(folder).num_labels == 1
    assert type(AutoModelForSequenceClassification.from_pretrained(folder)).__name__.startswith("Granite")


def divided_scores(folder: Path, result: Path) -> None:
    """On a rank: the scores of a model of which each has a part, of other completions on each rank, twice."""
    join_process_group()
    zero = {"stage": 3, "stage3_param_persistence_threshold": 0}
    known = HfDeepSpeedConfig({"train_micro_batch_size_per_gpu": 1, "zero_optimization": zero})
    rewarded = RewardModel(folder, 64, 4, zero)
    del known
    drawn = problems("general_chat", 6, 0, "train", EASY)
    # Two passes of the first rank, and none of the second.
    mine = drawn if rank() == 0 else []
    found = [rewarded(mine, [each.solution for each in mine]) for _ in range(2)]
    weights = list(rewarded._model.parameters())
    share = sum(each.ds_tensor.numel() for each in weights) / sum(each.ds_numel for each in weights)
    gathered = gather_objects((found, share))
    save(result, gathered)


def test_ranks_divide_a_model_and_score_what_each_has(checkpoint: Path, tmp_path: Path) -> None:
    model, tokenizer = load_reward_model(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    model.config.pad_token_id = tokenizer.pad_token_id
    folder = tmp_path / "checkpoint"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_reward_scale(folder, rejected=-0.1, chosen=0.1)
    drawn = problems("general_chat", 6, 0, "train", EASY)
    whole = RewardModel(folder, 64, 4)(drawn, [each.solution for each in drawn])
    run_on_ranks(divided_scores, 2, folder, tmp_path / "scores.pt")
    (first, of_first), (second, of_second) = torch.load(tmp_path / "scores.pt")
    assert first == [pytest.approx(whole, abs=1e-5)] * 2
    assert second == [[], []]
    assert of_first == of_second == pytest.approx(0.5, abs=0.01), "of the weights, each rank has a half"


def test_an_ensemble_takes_the_mean_or_the_lowest() -> None:
    drawn = problems("general_chat", 2, 0, "train", EASY)
    models: list[Scorer] = [lambda asked, texts: [0.5, 1.0], lambda asked, texts: [1.0, 0.25]]
    assert ensemble(models, "mean")(drawn, ["a", "b"]) == [0.75, 0.625]
    assert ensemble(models, "minimum")(drawn, ["a", "b"]) == [0.5, 0.25]
    assert ensemble(models[:1], "minimum") is models[0]
