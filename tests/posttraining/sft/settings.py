"""Settings of SFT that take seconds."""

from typing import Any

from tests.posttraining.tiny import EVAL_SAMPLING, PROBLEMS, TRAINING
from tests.settings import stage_settings


def settings(**changes: Any) -> dict[str, Any]:
    settings = {
        **TRAINING, "epochs": 2, "sequences_per_step": 16, "sequences_per_device": 8, "max_length": 128,
        "packing": False, "max_completion_length": 8, "probe": EVAL_SAMPLING, "problems": PROBLEMS,
        "text_replay": None, **changes,
    }  # fmt: skip
    return stage_settings("sft", **{**settings, **changes})
