"""The gate of a stage of RL."""

import pytest

from pipeline.core.errors import GateError
from pipeline.posttraining.rl.config import StageGateConfig
from pipeline.posttraining.rl.stage_gate import check_gate, verified_metrics

BEFORE = {"math": [0.5] * 12, "general_chat": [1.0, 0.75, 1.0, 0.5, 1.0, 1.0, 0.75, 1.0]}
FALLEN = {**BEFORE, "general_chat": [0.25, 0.5, 0.5, 0.25, 0.5, 0.5, 0.25, 0.0]}


def test_a_fall_warns_or_stops(capsys: pytest.CaptureFixture[str]) -> None:
    warn = StageGateConfig(domains=(), may_fall=0.0, action="warn")
    check_gate("rl_rlhf", warn, BEFORE, BEFORE)
    assert "warning" not in capsys.readouterr().out
    check_gate("rl_rlhf", warn, BEFORE, FALLEN)
    said = capsys.readouterr().out
    assert "warning: verified accuracy in general_chat 0.875 -> 0.344 (-0.531, 90 % -" in said
    assert said.count("warning") == 1
    with pytest.raises(GateError, match=r"gate\.action=warn to keep this model"):
        check_gate("rl_rlhf", StageGateConfig(domains=(), may_fall=0.0, action="stop"), BEFORE, FALLEN)
    check_gate("rl_rlhf", StageGateConfig(domains=(), may_fall=0.75, action="stop"), BEFORE, FALLEN)


def test_metrics_say_before_after_and_the_interval() -> None:
    metrics = verified_metrics(BEFORE, FALLEN)
    assert metrics["verified/general_chat/before"] == 0.875
    assert metrics["verified/general_chat/prompts"] == 8
    low, high = metrics["verified/general_chat/change_low"], metrics["verified/general_chat/change_high"]
    assert low < metrics["verified/general_chat/change"] < high < 0
    assert metrics["verified/math/change_low"] == metrics["verified/math/change_high"] == 0
