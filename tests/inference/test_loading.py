from pathlib import Path

import pytest

from pipeline.core.errors import CheckpointError
from pipeline.inference.loading import load_model
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
