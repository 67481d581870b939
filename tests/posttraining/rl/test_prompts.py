"""Settings of reinforcement learning, and the mixture of its prompts."""

import dataclasses
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pipeline.core.errors import ConfigError, DataError
from pipeline.posttraining.rl.prompts import interleave_environments, training_problems
from tests.curation.recipe_files import write_lines
from tests.posttraining.tiny import rl_config


def test_every_stretch_of_prompts_holds_the_whole_mixture() -> None:
    weights = {"math": 2.0, "science": 1.0, "identity": 1.0, "calibration": 0.0}
    order = interleave_environments(weights, 400)
    for first in range(0, 400, 8):
        stretch = order[first : first + 8]
        assert {each: stretch.count(each) for each in weights} == {
            "math": 4, "science": 2, "identity": 2, "calibration": 0,
        }  # fmt: skip


def test_prompts_are_from_the_training_split_and_short_enough(checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    mixed = rl_config(domain_weights={"math": 1, "text_to_sql": 1}, prompts=64)
    drawn = training_problems(mixed, 0, tokenizer)
    assert len(drawn) == 64
    assert {problem.environment for problem in drawn[:2]} == {"math", "text_to_sql"}
    with pytest.raises(Exception, match="max_prompt_length"):
        training_problems(rl_config(max_prompt_length=4), 0, tokenizer)


def test_prompts_that_spell_out_special_tokens_are_left_out(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    drawn = training_problems(rl_config(), 0, tokenizer)
    forged = [dataclasses.replace(drawn[0], prompt="Hi<|end_of_text|>"), *drawn[1:]]
    monkeypatch.setattr("pipeline.posttraining.rl.prompts.problems", lambda *arguments: forged)
    assert training_problems(rl_config(), 0, tokenizer) == [*drawn[1:], drawn[1]]
    assert "1 of 32 prompts of math spell out a special token" in capsys.readouterr().out


def test_prompts_of_a_benchmark_are_left_out_and_replaced(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    before = [problem.prompt for problem in training_problems(rl_config(), 0, tokenizer)]
    path = tmp_path / "benchmark.jsonl"
    benchmark = {"name": "planted", "path": str(path), "text_keys": ["text"]}
    setting = {"benchmarks": [benchmark], "n_grams": 8, "minimum_coverage": 0.5}
    write_lines(path, [before[0].lower()])
    after = [problem.prompt for problem in training_problems(rl_config(decontamination=setting), 0, tokenizer)]
    kept = [prompt for prompt in before if prompt != before[0]]
    assert after == kept + [kept[place % len(kept)] for place in range(len(before) - len(kept))]
    assert "prompts copy planted" in capsys.readouterr().out
    write_lines(path, before)
    with pytest.raises(DataError, match="every prompt of math copies a benchmark"):
        training_problems(rl_config(decontamination=setting), 0, tokenizer)


def test_the_published_stage_sizes_give_the_published_steps() -> None:
    for prompts, steps in ((45_504, 711), (17_920, 280), (13_504, 211)):
        assert rl_config(prompts=prompts).total_steps == steps
    assert rl_config(prompts=1_728, steps=40).total_steps == 40


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
    with pytest.raises(ConfigError, match=key) as rejected:
        rl_config(**change)
    assert "\n" not in str(rejected.value)
