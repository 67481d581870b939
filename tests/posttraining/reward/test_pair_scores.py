"""Accuracy and margin of a reward model by kind and language, and its gate."""

import pytest

from pipeline.core.errors import GateError
from pipeline.posttraining.reward.best_of_n import Picks
from pipeline.posttraining.reward.config import RewardGateConfig
from pipeline.posttraining.reward.gate import best_of_n_metrics, check_gate
from pipeline.posttraining.reward.pair_scores import pair_metrics

PAIRS = [{"kind": "rude", "language": "de"}, {"kind": "rude"}, {"kind": "terse", "language": "de"}, {}]
MEASURED = pair_metrics(PAIRS, [1.0, 2.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0])


def test_pairs_are_looked_at_by_kind_and_language() -> None:
    assert MEASURED == {
        "accuracy": 0.75, "accuracy/kind/rude": 1.0, "accuracy/kind/terse": 0.0, "accuracy/language/de": 0.5,
        "margin": 0.75, "margin/kind/rude": 1.5, "margin/kind/terse": -1.0, "margin/language/de": 0.0,
    }  # fmt: skip


def test_the_gate_warns_or_stops(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"general_chat": Picks([0.5] * 8, [1.0] * 8)}
    bad = {"general_chat": Picks([0.5] * 8, [0.0] * 7 + [0.25])}
    kinds = RewardGateConfig(kind_accuracy=0.5, action="stop")
    with pytest.raises(GateError, match="kind terse"):
        check_gate("reward_model", kinds, MEASURED, good)
    picks = RewardGateConfig(kind_accuracy=0.0, action="stop")
    check_gate("reward_model", picks, MEASURED, good)
    with pytest.raises(GateError, match=r"general_chat .* 0.031 are right, of all 0.500"):
        check_gate("reward_model", picks, MEASURED, bad)
    check_gate("reward_model", RewardGateConfig(kind_accuracy=0.5, action="warn"), MEASURED, bad)
    assert capsys.readouterr().out.count("warning: ") == 2
    assert best_of_n_metrics(bad)["best_of_n/general_chat/pick"] == 0.03125
