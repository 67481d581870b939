"""Settings of reinforcement learning, and the mixture of its prompts."""

import dataclasses
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pipeline.core.errors import ConfigError, DataError
from pipeline.posttraining.rl.prompts import (
    environment_names,
    held_out_problems,
    training_problems,
)
from pipeline.posttraining.rl.supply import interleave_environments, mixture
from tests.curation.recipe_files import write_lines
from tests.posttraining.tiny import rl_config
from tests.settings import stage_config


def test_every_stretch_of_prompts_holds_the_whole_mixture() -> None:
    weights = {"math": 2.0, "science": 1.0, "identity": 1.0, "calibration": 0.0}
    order = interleave_environments(weights, 400)
    for first in range(0, 400, 8):
        stretch = order[first : first + 8]
        assert {each: stretch.count(each) for each in weights} == {
            "math": 4, "science": 2, "identity": 2, "calibration": 0,
        }  # fmt: skip


@pytest.mark.parametrize("scale", ["smoke", "smoke_gpu", "granite_4_1_3b", "granite_4_1_8b", "granite_4_1_30b"])
def test_every_update_of_the_first_stage_sees_every_domain(scale: str) -> None:
    config = stage_config("rl_multi_domain", scale)
    weights = mixture(config)
    order = interleave_environments(weights, config.prompts)
    assert len({*config.domain_weights}) == 9
    for step in range(config.prompts // config.prompts_per_step):
        first = step * config.prompts_per_step
        assert set(order[first : first + config.prompts_per_step]) == weights.keys(), f"step {step}"


def test_replay_takes_its_share_by_its_weights() -> None:
    own = {
        "domain_weights": {"identity": 3, "math": 1},
        "replay_weights": {"math": 1, "science": 1, "temporal_reasoning": 0},
    }
    config = rl_config(**own, replay_share=0.4)
    assert mixture(config) == pytest.approx({"identity": 0.45, "math": 0.15 + 0.2, "science": 0.2})
    assert environment_names(config) == ["identity", "math", "science"]
    assert environment_names(config, replayed=False) == ["identity", "math"]
    assert {each.environment for each in held_out_problems(config)} == {"identity", "math"}
    assert mixture(rl_config(**own, replay_share=0.0)) == {"identity": 3, "math": 1}


def test_the_gate_names_further_domains_to_measure() -> None:
    config = rl_config(gate={"domains": ["science", "math"], "may_fall": 0.0, "action": "stop"})
    assert {each.environment for each in held_out_problems(config)} == {"math", "science"}
    assert mixture(config) == {"math": 1}


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
        ({"reward": {"general_chat": {"score": "reward_model"}}}, "reward names 'general_chat'"),
        ({"reward": {"math": {"score": "judge"}}}, "reward.math: score names 'judge'"),
        ({"replay_share": 0.5, "replay_weights": None}, "replay_weights gives no domain any weight"),
        ({"replay_share": 1, "replay_weights": {"science": 1}}, "replay_share is 1"),
        ({"gate": {"domains": ["maths"], "may_fall": 0, "action": "warn"}}, "gate.domains"),
        ({"importance_sampling_level": "sequence"}, "set loss_type to grpo"),
        ({"loss_type": "luspo"}, "importance_sampling_level to sequence"),
        ({"beta": -1}, "beta"),
        ({"domain_weight": {"math": 1}}, "domain_weight"),
    ],
)
def test_bad_settings_are_one_clear_line(change: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=key) as rejected:
        rl_config(**change)
    assert "\n" not in str(rejected.value)
