"""Gates of RL whose verifier a calibration does not let decide: of rewards, of the stage, and in the plan."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.config import ResourcesConfig
from pipeline.core.errors import DataError, GateError
from pipeline.core.files import write_json
from pipeline.environments import problems
from pipeline.inference.completions import Completion
from pipeline.posttraining.common.reward_config import RewardConfig
from pipeline.posttraining.common.rewards import RewardRule
from pipeline.posttraining.common.verifier_gate import source_hash
from pipeline.posttraining.rl.config import RlConfig, StageGateConfig
from pipeline.posttraining.rl.stage_gate import check_gate
from tests.posttraining.tiny import rl_config
from tests.settings import EASY


def report(path: Path, **aucs: float) -> str:
    """Writes a report with these verifiers, bound to their sources as they are."""
    write_json(path, {"verifiers": {name: {"binding": source_hash(name), "auc": auc} for name, auc in aucs.items()}})
    return str(path)


def gated(calibration: str | None, **changes: Any) -> RlConfig:
    return rl_config(
        domain_weights={"math": 1, "general_chat": 1},
        reward={"general_chat": {"gate": "verifier", "score": "reward_model"}},
        verifier_calibration=calibration,
        completions_per_device=64,
        **changes,
    )


def test_a_verifier_below_the_floor_is_no_gate_of_a_reward(tmp_path: Path) -> None:
    good = gated(report(tmp_path / "good.json", math=1.0, general_chat=0.995))
    low = gated(report(tmp_path / "low.json", math=1.0, general_chat=0.98))
    assert good.open_rewards == good.reward
    assert low.closed_reward_gates() == {"general_chat": "AUC 0.9800 below 0.99"}
    assert low.open_rewards == {"general_chat": RewardConfig(score={"reward_model": 1.0})}
    off_topic = [Completion(problems("general_chat", 1, 0, "train", EASY)[0], "x x x x", ended=True)]
    paid = [
        RewardRule(config.open_rewards["general_chat"], lambda asked, texts: [0.75] * len(texts))(off_topic)[0].value
        for config in (good, low)
    ]
    assert paid == [0.0, 0.75]
    # What rewards consist of is part of what the stage is; a report that closes nothing changes nothing.
    assert "verifiers_that_do_not_gate" not in good.data_fingerprint()
    assert low.data_fingerprint()["verifiers_that_do_not_gate"] == ["general_chat"]


def test_a_rule_of_ones_own_is_held_to_a_report_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "closed_gate_rules.py").write_text("POLITE = print\n")
    rule, reward = "closed_gate_rules:POLITE", {"math": {"gate": "closed_gate_rules:POLITE", "score": "verifier"}}
    without = rl_config(reward=reward, verifier_calibration=report(tmp_path / "without.json", math=1.0))
    assert without.open_rewards == without.reward
    low = rl_config(reward=reward, verifier_calibration=report(tmp_path / "low.json", math=1.0, **{rule: 0.5}))
    assert low.closed_reward_gates() == {"math": "AUC 0.5000 below 0.99"}


def test_the_stage_gate_tells_a_closed_domain_and_does_not_stop(capsys: pytest.CaptureFixture[str]) -> None:
    stop = StageGateConfig(domains=(), may_fall=0.0, action="stop")
    before, after = {"math": [1.0] * 8, "general_chat": [1.0] * 8}, {"math": [1.0] * 8, "general_chat": [0.0] * 8}
    with pytest.raises(GateError, match="general_chat"):
        check_gate("rl_math", stop, before, after, {"math": "not calibrated"})
    check_gate("rl_math", stop, before, after, {"general_chat": "not calibrated"})
    said = capsys.readouterr().out
    assert "general_chat 1.000 -> 0.000" in said
    assert "its verifier may not gate: not calibrated" in said
    assert "warning" not in said


def test_the_plan_says_which_gates_are_closed(tmp_path: Path) -> None:
    resources, changes = ResourcesConfig(), {"gate": {"domains": ["science"], "may_fall": 0.0, "action": "stop"}}
    good = report(tmp_path / "good.json", math=1.0, general_chat=1.0, science=1.0)
    low = report(tmp_path / "low.json", math=1.0, general_chat=0.98)
    for calibration in (None, good):
        assert not [each for each in gated(calibration, **changes).plan(resources, {}, {}).warnings if "gate" in each]
    reward, stage = [each for each in gated(low, **changes).plan(resources, {}, {}).warnings if "gate" in each]
    assert reward == (
        "reward.general_chat has no gate, reward_model alone rewards: its verifier may not gate (AUC 0.9800 below "
        "0.99); correct it and calibrate again"
    )
    assert stage == (
        "verifiers that neither warn nor stop in the stage's gate: general_chat (AUC 0.9800 below 0.99), science (not "
        "calibrated)"
    )
    with pytest.raises(DataError, match=r"verifier_calibration=.*none\.json: no file"):
        gated(str(tmp_path / "none.json")).plan(resources, {}, {})
