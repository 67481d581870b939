"""Wrong replies of the start model itself, and what the reward model picks of its replies, with a tiny random model."""

import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import Requeue
from pipeline.inference.loading import load_model
from pipeline.posttraining.data.preferences import preference_pairs
from pipeline.posttraining.reward import on_policy
from pipeline.posttraining.reward.best_of_n import best_of_n, held_out_problems
from pipeline.posttraining.reward.config import BestOfNConfig, OnPolicyConfig, SamplingConfig
from tests.settings import EASY

# Long enough for some random replies to end.
SAMPLING = SamplingConfig(max_completion_length=48, batch_size=64)


def test_a_share_of_the_pairs_gets_the_models_own_mistakes(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [*preference_pairs(16, "train", EASY, 0, random.Random(0)), {"prompt": [], "chosen": [], "rejected": []}]
    settings = OnPolicyConfig(share=0.5, samples_per_prompt=8)
    monkeypatch.setattr(on_policy, "PROMPTS_TOGETHER", 3)

    def mistakes(state: str, between: Any = lambda: None) -> list[dict[str, Any]]:
        load = lambda: load_model(checkpoint)  # noqa: E731
        return on_policy.with_own_mistakes(pairs, load, settings, SAMPLING, tmp_path / state, 7, between)

    whole = mistakes("whole")
    changed = [(old, new) for old, new in zip(pairs, whole, strict=True) if old is not new]
    assert 2 <= len(changed) <= 8
    for old, new in changed:
        assert new == {**old, "rejected": new["rejected"], "kind": "on_policy"}
        assert new["rejected"][0]["content"].strip()

    calls = []

    def stop_in_the_second_chunk() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Requeue

    with pytest.raises(Requeue):
        mistakes("stopped", stop_in_the_second_chunk)
    assert len(list((tmp_path / "stopped").iterdir())) == 1
    assert mistakes("stopped") == whole

    def never() -> Any:
        raise AssertionError("nothing is sampled twice")

    again = on_policy.with_own_mistakes(pairs, never, settings, SAMPLING, tmp_path / "whole", 7)
    assert again == whole
    off = OnPolicyConfig(share=0.0, samples_per_prompt=8)
    assert on_policy.with_own_mistakes(pairs, never, off, SAMPLING, tmp_path / "off", 7) == pairs


def test_the_pick_is_the_reply_with_the_highest_score(checkpoint: Path) -> None:
    pairs = preference_pairs(120, "held_out", EASY, 0, random.Random(0))
    settings = BestOfNConfig(domains=("general_chat", "logical_reasoning"), prompts_per_domain=2, samples_per_prompt=3)
    problems = held_out_problems(pairs, settings)
    assert [each.environment for each in problems] == ["general_chat"] * 2 + ["logical_reasoning"] * 2
    assert len({each.prompt for each in problems}) == 4
    asked: list[list[dict[str, str]]] = []

    def score(conversations: Any) -> list[float]:
        asked.extend(conversations)
        return [float(len(each[-1]["content"])) for each in conversations]

    found = best_of_n(problems, load_model(checkpoint), score, settings, SAMPLING, 0)
    assert len(asked) == 12
    assert {name: (len(picks.means), len(picks.picks)) for name, picks in found.items()} == {
        "general_chat": (2, 2), "logical_reasoning": (2, 2),
    }  # fmt: skip
