import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core.batching import StepSize
from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError
from pipeline.posttraining.common.trainer_arguments import batch_arguments, common_arguments, deepspeed_arguments
from pipeline.pretraining.engine.distributed import time_limits
from tests.distributed import run_on_ranks
from tests.posttraining.tiny import TRAINING
from tests.settings import stage_config


def test_a_step_is_divided_among_the_ranks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = dataclasses.replace(StageContext.for_test("rl_math", None, {}, tmp_path), world_size=64)
    assert batch_arguments(context, StepSize("completions", 1024, "completions_per_device", 4)) == {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 4,
    }
    assert "completions=1024 = completions_per_device=4 x 64 ranks x 4 accumulated" in capsys.readouterr().out
    message = (
        r"stages\.rl_math\.config\.sequences_per_step=256 is no multiple of sequences_per_device=3 × 64 ranks; "
        "set sequences_per_step to a multiple of 192"
    )
    with pytest.raises(ConfigError, match=message):
        batch_arguments(context, StepSize("sequences_per_step", 256, "sequences_per_device", 3))


def test_deepspeed_takes_what_is_set_and_what_trainers_need() -> None:
    assert deepspeed_arguments({"steps_per_print": 5})["steps_per_print"] == 5
    assert deepspeed_arguments({})["communication_data_type"] == "fp32"
    zero3 = deepspeed_arguments({"zero_optimization": {"stage": 3}})["zero_optimization"]
    assert zero3["stage3_gather_16bit_weights_on_model_save"] is True


def check_time_limits(folder: Path) -> None:
    """All groups of a rank wait half an hour, however long DeepSpeed would."""
    config = stage_config("reward_model", **TRAINING)
    common_arguments(StageContext.for_test("reward_model", config, {}, folder), config)
    assert list(time_limits().values()) == [timedelta(minutes=30)] * 2


def test_ranks_wait_for_slow_generation(tmp_path: Path) -> None:
    run_on_ranks(check_time_limits, 1, tmp_path)
