from pathlib import Path

import pytest
from transformers.integrations.deepspeed import (
    HfDeepSpeedConfig,
    is_deepspeed_zero3_enabled,
    unset_hf_deepspeed_config,
)

from pipeline.core.errors import CheckpointError
from pipeline.inference.loading import load_model
from pipeline.posttraining.reward.scoring import load_reward_model
from tests.posttraining.tiny import write_model


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    write_model(tmp_path)
    checkpoint = tmp_path / "checkpoint"
    weights = (checkpoint / "model.safetensors").read_bytes()
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(checkpoint, "fp32")
    (checkpoint / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(CheckpointError, match="cannot be loaded") as caught:
        load_model(checkpoint)
    assert "\n" not in str(caught.value)


def test_a_model_is_whole_beside_a_trainer_under_zero3(tmp_path: Path) -> None:
    write_model(tmp_path)
    trainers = HfDeepSpeedConfig({"zero_optimization": {"stage": 3}})
    try:
        for model in (load_model(tmp_path / "checkpoint").model, load_reward_model(tmp_path / "checkpoint")):
            assert all(weight.numel() and not hasattr(weight, "ds_id") for weight in model.parameters())
        assert is_deepspeed_zero3_enabled(), "the trainer still loads shards"
    finally:
        unset_hf_deepspeed_config()
        del trainers
