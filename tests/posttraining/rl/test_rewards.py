"""Reward functions, the mixture of prompts, and the reward model's scale, without a trainer."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from pipeline.core.errors import CheckpointError, ConfigError, DataError
from pipeline.environments import DOMAINS, problems
from pipeline.posttraining.reward.granite import GraniteForSequenceClassification, register
from pipeline.posttraining.reward.scoring import RewardModel, load_reward_model, raw_scores, write_scale
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.prompts import dataset_rows, interleave, stage_problems
from pipeline.posttraining.rl.rewards import reward_function
from tests.curation.recipe_files import write_lines
from tests.posttraining.tiny import PROBLEMS, TRAINING, write_model
from tests.settings import EASY, stage_config

END = 7


def config(**changes: object) -> RlConfig:
    base = {**TRAINING, "domain_weights": {"math": 1}, "prompts": 32, "prompts_per_step": 64, "problems": PROBLEMS}
    return stage_config("rl_math", **{**base, "max_prompt_length": 2048, **changes})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    write_model(directory)
    return directory / "checkpoint"


def test_each_domain_is_rewarded_by_its_own_function() -> None:
    posed = [problem for domain in DOMAINS for problem in problems(domain, 2, 0, "train", EASY)]
    rows = dataset_rows(posed)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    replies = [[{"role": "assistant", "content": problem.solution}] for problem in posed]
    ended, cut = [[1, END]] * len(posed), [[1, 2]] * len(posed)
    for domain in DOMAINS:
        reward = reward_function(domain, END)
        assert reward.__name__ == domain
        expected = [1.0 if problem.domain == domain else None for problem in posed]
        assert reward(completions=replies, completion_ids=ended, **columns) == expected
        assert 1.0 not in reward(completions=replies, completion_ids=cut, **columns)


def test_a_scorer_takes_the_verifiers_place() -> None:
    rows = dataset_rows(problems("general_chat", 2, 0, "train", EASY) + problems("math", 1, 0, "train", EASY))
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    reward = reward_function("general_chat", END, lambda posed, texts: [0.25] * len(texts))
    replies = [[{"role": "assistant", "content": "x"}]] * 3
    assert reward(completions=replies, completion_ids=[[END], [1], [END]], **columns) == [0.25, 0.0, None]


def test_every_stretch_of_prompts_holds_the_whole_mixture() -> None:
    weights = {"math": 2.0, "science": 1.0, "identity": 1.0, "calibration": 0.0}
    order = interleave(weights, 400)
    for first in range(0, 400, 8):
        stretch = order[first : first + 8]
        assert {each: stretch.count(each) for each in weights} == {
            "math": 4, "science": 2, "identity": 2, "calibration": 0,
        }  # fmt: skip


def test_prompts_are_from_the_training_split_and_short_enough(checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    mixed = config(domain_weights={"math": 1, "text_to_sql": 1}, prompts=64)
    posed = stage_problems(mixed, 0, tokenizer)
    assert len(posed) == 64
    assert {problem.domain for problem in posed[:2]} == {"math", "text_to_sql"}
    with pytest.raises(Exception, match="max_prompt_length"):
        stage_problems(config(max_prompt_length=4), 0, tokenizer)


def test_prompts_of_a_benchmark_are_left_out_and_replaced(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    before = [problem.prompt for problem in stage_problems(config(), 0, tokenizer)]
    path = tmp_path / "benchmark.jsonl"
    benchmark = {"name": "planted", "path": str(path), "text_keys": ["text"]}
    setting = {"benchmarks": [benchmark], "n_grams": 8, "minimum_coverage": 0.5}
    write_lines(path, [before[0].lower()])
    after = [problem.prompt for problem in stage_problems(config(decontamination=setting), 0, tokenizer)]
    kept = [prompt for prompt in before if prompt != before[0]]
    assert after == kept + [kept[place % len(kept)] for place in range(len(before) - len(kept))]
    assert "prompts copy planted" in capsys.readouterr().out
    write_lines(path, before)
    with pytest.raises(DataError, match="every prompt of math copies a benchmark"):
        stage_problems(config(decontamination=setting), 0, tokenizer)


def test_the_published_stage_sizes_give_the_published_steps() -> None:
    for prompts, steps in ((45_504, 711), (17_920, 280), (13_504, 211)):
        assert config(prompts=prompts).total_steps == steps
    assert config(prompts=1_728, steps=40).total_steps == 40


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"domain_weights": {"maths": 1}}, "maths"),
        ({"samples_per_prompt": 1}, "samples_per_prompt"),
        ({"reward_model_domains": ["general_chat"]}, "reward_model_domains"),
        ({"beta": -1}, "beta"),
        ({"domain_weight": {"math": 1}}, "domain_weight"),
    ],
)
def test_bad_settings_are_one_clear_line(change: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=key) as refused:
        config(**change)
    assert "\n" not in str(refused.value)


def test_granite_has_a_head_and_the_scale_is_logistic(checkpoint: Path, tmp_path: Path) -> None:
    register()
    model = load_reward_model(checkpoint)
    assert isinstance(model, GraniteForSequenceClassification)
    assert torch.equal(model.score.weight, load_reward_model(checkpoint).score.weight), "the new head is seeded"
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="right")
    model.config.pad_token_id = tokenizer.pad_token_id
    folder = tmp_path / "checkpoint"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    posed = problems("general_chat", 6, 0, "train", EASY)
    prompts, replies = [p.prompt for p in posed], [p.solution for p in posed]
    one = raw_scores(model, tokenizer, prompts, replies, 64, 1)
    assert raw_scores(model, tokenizer, prompts, replies, 64, 4) == pytest.approx(one, abs=1e-5)
    with pytest.raises(CheckpointError, match="reward_scale"):
        RewardModel(folder, 64, 4)
    with pytest.raises(CheckpointError, match="learned nothing"):
        write_scale(folder, rejected=1.0, chosen=1.0)
    low, high = sorted(one)[1], sorted(one)[-2]
    write_scale(folder, rejected=low, chosen=high)
    rewards = RewardModel(folder, 64, 4)(posed, replies)
    # 0.1 and 0.9 at the two scores of the scale: log-odds of +-ln 9, linear in the score.
    expected = [1 / (1 + 9 ** -(2 * (score - low) / (high - low) - 1)) for score in one]
    assert rewards == pytest.approx(expected, abs=1e-4)
    assert [rewards[one.index(score)] for score in (low, high)] == pytest.approx([0.1, 0.9], abs=1e-3)
    ranked = [reward for _, reward in sorted(zip(one, rewards, strict=True))]
    assert ranked == sorted(ranked)
    assert 0 < ranked[0] < 0.1 < 0.9 < ranked[-1] < 1, "better than the mean chosen reply is rewarded more"
    assert AutoConfig.from_pretrained(folder).num_labels == 1
    assert type(AutoModelForSequenceClassification.from_pretrained(folder)).__name__.startswith("Granite")
