"""The plan of post-training: steps, prompts, memory and packages, and what it refuses before anything is spent."""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import FrozenStage, freeze
from pipeline.control.planning import plan_table
from pipeline.control.stage_plans import check_packages, plan_stages
from pipeline.core.errors import ConfigError
from pipeline.core.extras import is_installed
from pipeline.core.stage_plan import StagePlan
from pipeline.environments import problems
from pipeline.environments.registry import distinct_prompts
from tests.settings import EASY

PUBLISHED = {"rl_multi_domain": "711", "rl_rlhf": "280", "rl_identity": "40", "rl_math": "211"}
"""Optimizer steps of the stages of RL, from IBM's numbers of prompts."""


@functools.cache
def frozen(scale: str) -> list[FrozenStage]:
    return freeze(typed(compose([f"scale={scale}"])))


@functools.cache
def plans(scale: str) -> dict[str, StagePlan]:
    return plan_stages(frozen(scale))


def plan_of(stage: str, scale: str, nodes: int | None = None, **changes: Any) -> StagePlan:
    """The plan of one stage with other settings."""
    found = next(each for each in frozen(scale) if each.stage == stage)
    resources = found.resources | ({"nodes": nodes} if nodes else {})
    changed = dataclasses.replace(found, config={**found.config, **changes}, resources=resources)
    others = [each for each in frozen(scale) if each.kind in ("pretrain", "sft", "reward_model") and each != found]
    return plan_stages([*others, *_between(found, scale), changed])[stage]


def _between(stage: FrozenStage, scale: str) -> list[FrozenStage]:
    """The stages of RL before a stage, whose model is of the same shape; as if made elsewhere, so that only it is
    planned."""
    before = itertools.takewhile(lambda each: each.stage != stage.stage, frozen(scale))
    return [dataclasses.replace(each, folder="elsewhere") for each in before if each.kind == "rl"]


def memory_of(plan: StagePlan) -> str:
    (line,) = [each for each in plan.lines if each.startswith("memory per GPU: ")]
    return line


@pytest.mark.parametrize("scale", ["granite_4_1_3b", "granite_4_1_8b", "granite_4_1_30b"])
def test_the_published_scales_fit_and_have_the_published_steps(scale: str) -> None:
    found = plans(scale)
    assert {name: found[name].steps for name in PUBLISHED} == PUBLISHED
    assert found["rl_rlhf"].lines[:2] == (
        "prompts_per_step x samples_per_prompt=1024 = completions_per_device=4 x 64 ranks x 4 accumulated",
        "280 steps x 64 prompts = 17,920 of 17,920 prompts",
    )
    assert found["rl_identity"].lines[1].endswith("2,560 of 1,728 prompts, which come 1.48 times")
    assert found["sft"].lines[0] == "sequences_per_step=256 = sequences_per_device=1 x 64 ranks x 4 accumulated"
    # 4.1M conversations of recipes and 99,000 of the generators; of preferences of a recipe nobody knows how many.
    assert found["sft"].steps == "≤ 49,209"
    assert found["reward_model"].steps == ""
    for stage, plan in found.items():
        if stage.startswith("evaluate_"):
            continue
        memory = memory_of(plan)
        assert ("reference" in memory) == stage.startswith("rl_")
        assert ("reward model" in memory) == (stage in ("rl_multi_domain", "rl_rlhf"))
        assert memory.endswith(" of 186 GB, without activations")
        assert not any("probe.batch_size" in warning for warning in plan.warnings)


def test_memory_is_what_zero_divides_and_what_it_does_not() -> None:
    # 28,865,728,512 parameters over 64 ranks; 0.3 of 186 GB.
    assert memory_of(plans("granite_4_1_30b")["rl_rlhf"]).startswith(
        "memory per GPU: weights 0.9 + gradients 1.8 + optimizer 5.4 + reference 0.9 + reward model 0.9 + vLLM 55.8"
    )
    assert "reference 16.8" in memory_of(plans("granite_4_1_8b")["rl_math"]), "TRL divides it under ZeRO-3 alone"
    assert "reference" not in memory_of(plan_of("rl_math", "granite_4_1_8b", beta=0))
    zero = {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}
    assert "optimizer" not in memory_of(plan_of("sft", "granite_4_1_8b", deepspeed=zero))


def test_a_measurement_that_may_not_fit_is_told() -> None:
    # 40 layers, 8 heads of 128, keys and values of two bytes: 163,840 bytes a token.
    probe = {"prompts_per_domain": 64, "samples_per_prompt": 4, "batch_size": 256}
    warnings = plan_of("rl_math", "granite_4_1_8b", probe=probe).warnings
    expected = (
        "probe.batch_size=256: replies of up to 8,192 tokens may take 360 of 186 GB per GPU; set it to 126 or less"
    )
    assert expected in warnings
    fitting = plan_of("rl_math", "granite_4_1_8b", probe={**probe, "batch_size": 126}).warnings
    assert not any("probe.batch_size" in each for each in fitting)


ZERO_2 = {"deepspeed": {"zero_optimization": {"stage": 2}}}


@pytest.mark.parametrize(
    ("stage", "scale", "changes", "why"),
    [
        ("rl_math", "granite_4_1_30b", {"vllm_tensor_parallel_size": 1},
         r"vllm_tensor_parallel_size=1: 57\.7 GB of weights .* vLLM's 55\.8 GB .*; set it to 2"),
        ("rl_math", "granite_4_1_8b", {"vllm_gpu_memory_utilization": 0.01},
         r"vllm_tensor_parallel_size=1: .* more than vLLM's 1\.9 GB .* above 0\.10"),
        ("rl_math", "granite_4_1_8b", {"vllm_tensor_parallel_size": 3},
         "vllm_tensor_parallel_size=3: must divide the 4 ranks of a node .* set it to 1 or 2 or 4"),
        ("rl_rlhf", "granite_4_1_30b", ZERO_2,
         r"deepspeed\.zero_optimization\.stage=2: does not fit a GPU: .* set it to 3 \(deepspeed=zero3\)"),
        ("rl_math", "granite_4_1_30b", {"nodes": 1},
         r"deepspeed\.zero_optimization\.stage=3: .* set resources\.nodes higher, set vllm_gpu_memory"),
        ("sft", "granite_4_1_8b", {"nodes": 3},
         "sequences_per_step=256 is no multiple of sequences_per_device=1 × 12 ranks"),
        ("rl_rlhf", "granite_4_1_8b", {"repeat_prompts": False, "problems": dataclasses.asdict(EASY)},
         r"repeat_prompts=false: general_chat is asked for 4,480 and has [\d,]+ different .* set it to true"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_in_one_line(stage: str, scale: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=rf"^stages\.{stage}\.config\.{why}") as refused:
        plan_of(stage, scale, **changes)
    assert "\n" not in str(refused.value)


def test_prompts_that_repeat_are_counted() -> None:
    there = distinct_prompts("identity", 10_000, EASY)
    assert there == len({each.prompt for each in problems("identity", there, 0, "train", EASY)})
    assert distinct_prompts("identity", 10, EASY) == 10
    (warning,) = plans("smoke")["rl_identity"].warnings
    assert warning == f"prompts repeat: identity is asked for 161 and has {there}"


def test_the_table_says_it_once_for_all_stages() -> None:
    config = typed(compose(["scale=granite_4_1_8b", "stages.rl_math.config.vllm=server"]))
    stages = freeze(config)
    table = plan_table(config, stages, stages)
    assert [line.split()[3] for line in table.splitlines() if line.split()[1:2] == ["rl"]] == list(PUBLISHED.values())
    said = " ".join(table.split())
    assert said.count("1024 = completions_per_device=4 x 64 ranks x 4 accumulated") == 1
    assert "rl_math: samples with the vLLM server at http://localhost:8000, looked for when the stage begins" in said


@pytest.mark.skipif(is_installed("vllm") or is_installed("kernels"), reason="the packages are installed")
def test_missing_packages_are_named_before_hours_of_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plans("granite_4_1_8b")
    flash = plan_of("sft", "granite_4_1_8b", attention="flash_attention_2")
    assert flash.warnings[0].startswith("attention=flash_attention_2: flash_attn is not installed")
    assert found["rl_math"].warnings[0].startswith("vllm=colocate: vllm is not installed; run `")
    stages = {stage.stage: stage for stage in frozen("granite_4_1_8b")}
    check_packages([stages["reward_model"]])
    with pytest.raises(ConfigError, match=r"^stages\.rl_math\.config\.vllm=colocate: vllm is not installed"):
        check_packages([stages["rl_math"]])
    # Whoever plans a chain for a cluster is warned; whoever runs it here is told before its first stage.
    overrides = ["run=first", f"root={tmp_path}", "stages.sft.config.attention=flash_attention_2"]
    with pytest.raises(SystemExit) as ended:
        main(["run", *overrides])
    assert ended.value.code == 2
    assert "stages.sft.config.attention=flash_attention_2: flash_attn is not installed" in capsys.readouterr().err
    assert not (tmp_path / "first").exists()
