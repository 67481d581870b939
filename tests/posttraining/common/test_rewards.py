"""What a completion is rewarded with."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.environments import problems
from pipeline.inference.completions import Completion
from pipeline.posttraining.common.reward_config import RewardConfig
from pipeline.posttraining.common.rewards import RewardRule, rewards_of
from tests.settings import EASY

CHAT = problems("general_chat", 1, 0, "held_out", EASY)[0]
GOOD = Completion(CHAT, CHAT.solution, True)
RUDE = Completion(CHAT, "That is stupid.", True)
CUT = Completion(CHAT, CHAT.solution, False)


def rule(**settings: Any) -> RewardRule:
    """A rule whose reward model gives every completion 0.4, and for which a word is a token."""
    config = build(RewardConfig, settings, "reward")
    return RewardRule(config, lambda asked, texts: [0.4] * len(texts), lambda text: len(text.split()))


def test_a_completion_that_did_not_end_has_no_reward() -> None:
    assert rewards_of([GOOD, RUDE, CUT]) == [1.0, 0.0, 0.0]
    assert rewards_of([GOOD, RUDE, CUT], rule(score="reward_model")) == [0.4, 0.4, 0.0]


def test_gate_floor_and_weights_compose() -> None:
    assert rewards_of([GOOD, RUDE, CUT], rule(gate="verifier", score="reward_model")) == [0.4, 0.0, 0.0]
    # What passes is never below what is refused.
    floored = rewards_of([GOOD, RUDE, CUT], rule(gate="verifier", score="reward_model", floor=0.5))
    assert floored == pytest.approx([0.7, 0.5, 0.0])
    mixed = rule(score={"verifier": 1, "reward_model": 3})
    assert rewards_of([GOOD, RUDE], mixed) == pytest.approx([0.55, 0.3])
    watched = rule(score={"verifier": 0, "reward_model": 1})
    assert rewards_of([GOOD, RUDE], watched) == pytest.approx([0.4, 0.4])
    assert [reward.parts["verifier"] for reward in watched([GOOD, RUDE])] == [1.0, 0.0]
    assert [reward.parts for reward in mixed([RUDE])] == [{"verifier": 0.0, "reward_model": 0.4}]


def test_a_long_completion_loses_up_to_the_weight() -> None:
    penalty = {"from_tokens": 5, "to_tokens": 9, "weight": 0.3}
    texts = ["I like it.", " ".join(["I like it, as"] * 2)[:-3] + ".", "so " * 40]
    completions = [Completion(CHAT, text, True) for text in texts]
    lost = rule(score="reward_model", length_penalty=penalty)(completions)
    assert [len(text.split()) for text in texts] == [3, 7, 40]
    assert [reward.parts["length_penalty"] for reward in lost] == pytest.approx([0.0, 0.15, 0.3])
    assert [reward.value for reward in lost] == pytest.approx([0.4, 0.25, 0.1])


def test_a_rule_of_ones_own_is_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "polite_rule.py").write_text(
        "from pipeline.environments.problem import RIGHT, WRONG\n"
        "def polite(problem, completion):\n    return RIGHT if 'you' in completion else WRONG\n"
    )
    monkeypatch.chdir(tmp_path)
    gated = rule(gate="polite_rule:polite", score="verifier")
    assert rewards_of([GOOD, Completion(CHAT, f"I like {CHAT.answer}.", True)], gated) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"score": {}}, "score has no part with a weight"),
        ({"score": "reward_modle"}, "did you mean reward_model"),
        ({"gate": "reward_model"}, "gate names 'reward_model'"),
        ({"length_penalty": {"from_tokens": 9, "to_tokens": 9, "weight": 1}}, "set to_tokens higher"),
        ({"score": {"verifier": 0}}, "above 0, set one"),
        ({"score": {"verifier": -1}}, "set 0.0 or more"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rule(**settings)
