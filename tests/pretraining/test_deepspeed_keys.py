"""What `deepspeed` of a stage takes: keys that DeepSpeed knows and no setting of the stage decides."""

from typing import Any

import pytest
from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

from pipeline.core.errors import ConfigError
from pipeline.pretraining.deepspeed_keys import KEYS, ZERO_KEYS
from tests.settings import stage_config

ZERO = {"zero_optimization": {"stage": 1}}


@pytest.mark.parametrize(
    ("stage", "key", "value", "remedy"),
    [
        ("phase1", "gradient_accumulation_steps", 2, "set these"),
        ("phase1", "train_batch_size", 8, "follows from sequences_per_step, sequences_per_rank and"),
        ("phase1", "bf16", {"enabled": True}, "set precision"),
        ("phase1", "fp16", {"enabled": True}, "set precision"),
        ("phase1", "gradient_clipping", 0.1, "set optimizer.gradient_clipping"),
        ("phase1", "optimizer", {"type": "Adam"}, "set optimizer"),
        ("phase1", "scheduler", {"type": "WarmupLR"}, "set learning_rate"),
        ("phase1", "data_types", {"grad_accum_dtype": "bf16"}, "leave it out"),
        ("sft", "gradient_accumulation_steps", 2, "set these"),
        ("reward_model", "bf16", {"enabled": True}, "set bf16"),
        ("rl_math", "gradient_clipping", 0.1, "set max_grad_norm"),
        ("rl_math", "optimizer", {"type": "Adam"}, "set learning_rate"),
        ("rl_math", "scheduler", {"type": "WarmupLR"}, "set lr_schedule"),
    ],
)
def test_what_the_stage_decides_is_refused(stage: str, key: str, value: Any, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stage_config(stage, deepspeed={**ZERO, key: value})
    said = str(caught.value)
    assert said.startswith(f"stages.{stage}.config.deepspeed: {key} is not taken from here: ")
    assert remedy in said
    assert "\n" not in said


@pytest.mark.parametrize("stage", ["phase1", "sft", "reward_model", "rl_math"])
def test_what_nobody_knows_is_refused_with_the_nearest(stage: str) -> None:
    for settings, message in (
        ({"zero_optimizaton": {"stage": 1}}, "zero_optimizaton is no key that a stage takes, did you mean zero_opt"),
        ({"zero_optimization": {"stge": 1}}, r"zero_optimization\.stge is no key .* did you mean stage\?$"),
        ({"zero_optimization": {"stage": 4}}, "zero_optimization.stage is 4, set 0, 1, 2 or 3"),
        ({"zero_optimization": {"stage": True}}, "zero_optimization.stage is True, set 0, 1, 2 or 3"),
        ({"zero_optimization": {"stage": 2.0}}, r"zero_optimization.stage is 2\.0, set 0, 1, 2 or 3"),
        ({"zero_optimization": {"stage": [1]}}, r"zero_optimization.stage is \[1\], set 0, 1, 2 or 3"),
        (
            {"zero_optimization": {"reduce_bucket_size": -5}},
            r"zero_optimization\.reduce_bucket_size is -5, set 0",
        ),
        ({"zero_optimization": None}, r"zero_optimization is None, set keys of ZeRO, such as \{stage: 1\}$"),
        ({"zero_optimization": True}, r"zero_optimization is True, set keys of ZeRO, such as \{stage: 1\}$"),
        ({"zero_optimization": ["stage"]}, r"zero_optimization is \['stage'\], set keys of ZeRO, such as "),
    ):
        with pytest.raises(ConfigError, match=rf"^stages\.{stage}\.config\.deepspeed: {message}"):
            stage_config(stage, deepspeed=settings)


def test_what_divides_and_measures_is_taken() -> None:
    settings = {
        "zero_optimization": {"stage": 2, "reduce_bucket_size": 1000, "stage3_prefetch_bucket_size": 10},
        "communication_data_type": "bf16",
        "steps_per_print": 5,
    }
    assert stage_config("phase1", deepspeed=settings).deepspeed == settings


def test_keys_of_zero_are_those_of_the_installed_deepspeed() -> None:
    """One that a new version drops would be refused by DeepSpeed itself, with a traceback."""
    fields = DeepSpeedZeroConfig.model_fields
    known = {name: field for key, field in fields.items() for name in (key, field.alias) if name is not None}
    assert set(ZERO_KEYS) <= known.keys()
    deprecated = {name for name, field in known.items() if (field.json_schema_extra or {}).get("deprecated")}  # type: ignore[union-attr]
    assert not deprecated & set(ZERO_KEYS)
    assert len(set(KEYS)) == len(KEYS)
