"""The reward model and a GRPO stage as real workers on a tiny random Granite."""

import json
import os
import signal
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from pyarrow import parquet
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.core.artifact import load
from pipeline.core.errors import EXIT_DONE, EXIT_REQUEUE, EXIT_USER_ERROR
from pipeline.core.files import sha256_of
from pipeline.core.verified_folder import MANIFEST
from pipeline.environments import problems
from pipeline.posttraining.common.checkpoints import newest_checkpoint
from pipeline.posttraining.data.preferences import REJECTIONS
from pipeline.posttraining.reward.scoring import RewardModel
from tests.posttraining.tiny import EVAL_SAMPLING, PROBLEMS, TRAINING, write_data, write_model
from tests.runs import finished, freeze, outcome, start_worker, wait_until
from tests.settings import EASY, stage_settings

WEIGHTS = "checkpoint/model.safetensors"


def rl_settings(**changes: Any) -> dict[str, Any]:
    settings = {
        **TRAINING,
        "domain_weights": {"math": 1, "general_chat": 1},
        "prompts": 16,
        "prompts_per_step": 4,
        "samples_per_prompt": 4,
        "completions_per_device": 8,
        "max_prompt_length": 64,
        "max_completion_length": 6,
        "save_every_steps": 1,
        "probe": EVAL_SAMPLING,
        "problems": PROBLEMS,
        "replay_share": 0.0,
    }
    return stage_settings("rl_math", **{**settings, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("rl") / "run"
    finished(directory, "sft", write_model)
    finished(directory, "sft_data", write_data)
    return directory


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_reward_model_learns_and_rewards_a_stage(run: Path) -> None:
    sizes: dict[str, Any] = {"epochs": 8, "pairs_per_step": 16, "pairs_per_device": 16, "max_length": 128}
    settings = stage_settings("reward_model", **TRAINING, **sizes)
    stage = freeze(run, "reward_model", "reward_model", settings, {"model": "sft", "data": "sft_data"})
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    manifest = load(stage).manifest
    # Half is chance. A random base of this size learns the kinds that a reply's form gives away, not its topic.
    assert {f"accuracy/kind/{kind}" for kind in REJECTIONS} < manifest.metrics.keys()
    assert fmean(manifest.metrics[f"margin/kind/{kind}"] for kind in ("rude", "over_long", "repetitive")) > 0
    assert manifest.metrics["best_of_n/general_chat/prompts"] > 1
    reward_model = RewardModel(stage / "checkpoint", 128, 8)
    held_out = problems("general_chat", 8, 0, "held_out", EASY)
    good, bad = reward_model(held_out, [p.solution for p in held_out]), reward_model(held_out, ["That is stupid."] * 8)
    assert sum(good) > sum(bad)

    # Long enough for some random completions to end: only those can differ in reward.
    inputs = {"model": "sft", "reward_model": "reward_model"}
    config = rl_settings(
        prompts=8,
        samples_per_prompt=16,
        completions_per_device=64,
        max_completion_length=64,
        # All pass: random replies that the gate refused would be rewarded alike.
        reward={"general_chat": {"gate": "verifier", "gate_threshold": 0.0, "score": "reward_model"}},
        completions_kept=1,
    )
    stage = freeze(run, "rl_rlhf", "rl", config, inputs, tracking={"mode": "offline"})
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    metrics = load(stage).manifest.metrics
    assert metrics["steps"] == 2
    assert {"reward/general_chat/before", "reward/math/after"} <= metrics.keys()
    assert {"verified/general_chat/before", "verified/math/change_high"} <= metrics.keys()
    check_rows_of_metrics(stage)
    check_completions(stage)
    before = AutoModelForCausalLM.from_pretrained(run / "sft/checkpoint").state_dict()
    after = AutoModelForCausalLM.from_pretrained(stage / "checkpoint").state_dict()
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    assert AutoTokenizer.from_pretrained(stage / "checkpoint").chat_template


def check_rows_of_metrics(stage: Path) -> None:
    """What docs/reinforcement_learning.md says is logged at every step."""
    rows = [json.loads(line) for line in (stage / "attempts/1/metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "train/reward" in row]
    assert len(steps) == 2
    for row in steps:
        assert {
            "train/completions/clipped_ratio", "train/completions/mean_length", "train/entropy", "train/kl",
            "train/frac_reward_zero_std", "train/rewards/math/mean", "train/rewards/general_chat/mean",
            "train/rewards/general_chat/gate", "train/rewards/general_chat/verifier",
            "train/rewards/general_chat/reward_model",
        } <= row.keys()  # fmt: skip


def check_completions(stage: Path) -> None:
    """The file of the last step: a row for each completion, with what its reward is made of."""
    folder = stage / "completions"
    assert [path.name for path in folder.iterdir()] == ["completions_00002.parquet"]
    rows = parquet.read_table(folder / "completions_00002.parquet").to_pylist()
    assert len(rows) == 4 * 16
    for row in rows:
        assert row["step"] == 2
        assert row["prompt"][-1]["role"] == "user"
        assert row["completion"][0]["role"] == "assistant"
        parts = {key: value for key, value in row.items() if key.startswith("general_chat/")}
        assert parts.keys() == {"general_chat/gate", "general_chat/reward_model", "general_chat/verifier"}
        rewards = [row[domain] for domain in ("math", "general_chat") if row[domain] is not None]
        assert len(rewards) == 1
        if row["general_chat"]:
            assert parts["general_chat/gate"] == 1.0
    assert sum(row["advantage"] for row in rows) == pytest.approx(0, abs=0.01)


def saved(state: Path) -> int:
    """The last step of which there is a complete checkpoint, or 0."""
    return max((int(path.parent.name.rpartition("-")[2]) for path in state.glob(f"checkpoint-*/{MANIFEST}")), default=0)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_killed_or_stopped_a_stage_ends_as_if_it_had_not_been(run: Path) -> None:
    """Ten steps: seconds of work, so that the stage does not end before a signal reaches it."""
    config, inputs = rl_settings(prompts=40), {"model": "sft"}
    reference = freeze(run, "reference", "rl", config, inputs)
    # Random streams follow from the stage's name, so the other run's stage has the same one.
    finished(run.parent / "again", "sft", write_model)
    same = freeze(run.parent / "again", "reference", "rl", config, inputs)
    code, said = outcome(reference)
    assert code == EXIT_DONE, said

    state = same / "state"
    worker = start_worker(same)
    wait_until(lambda: saved(state) > 0, worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert worker.returncode == -signal.SIGKILL
    survivor = newest_checkpoint(state)
    assert survivor is not None
    # What a kill in the middle of saving leaves is no checkpoint.
    broken = state / "checkpoint-99"
    broken.mkdir()
    (broken / "trainer_state.json").write_text("{")
    assert newest_checkpoint(state) == survivor

    before = saved(state)
    worker = start_worker(same)
    wait_until(lambda: saved(state) > before, worker)
    worker.send_signal(signal.SIGTERM)
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_REQUEUE, said
    code, said = outcome(same)
    assert code == EXIT_DONE, said
    assert not state.exists()
    ended, expected = load(same).manifest, load(reference).manifest
    # The KL penalty too is toward the model that the stage started from, not the one it went on from.
    assert ended.metrics["train/kl_last"] > 0
    assert (ended.metrics, ended.tokens) == (expected.metrics, expected.tokens)
    assert ended.metrics["steps"] == 10
    assert sha256_of(same / WEIGHTS) == sha256_of(reference / WEIGHTS)
    files = [{each.name: sha256_of(each) for each in (stage / "completions").iterdir()} for stage in (same, reference)]
    assert files[0] == files[1]
    assert len(files[0]) == 10


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_a_stop_in_a_measurement_is_answered_and_leaves_no_trace(run: Path) -> None:
    """Before training nothing is there to save; after it the last step is, which is inside a pass over the prompts."""
    # A batch for each reply, so that a measurement has many.
    config = rl_settings(prompts=16, steps=5, save_every_steps=None, probe={**EVAL_SAMPLING, "batch_size": 1})
    inputs = {"model": "sft"}
    reference = freeze(run, "measured", "rl", config, inputs)
    code, said = outcome(reference)
    assert code == EXIT_DONE, said
    finished(run.parent / "once_more", "sft", write_model)
    same = freeze(run.parent / "once_more", "measured", "rl", config, inputs)
    exported = same / "partial/checkpoint/tokenizer_config.json"
    for is_there in (same / "state", exported):
        worker = start_worker(same)
        wait_until(is_there.exists, worker)
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate(timeout=300)[1].decode()
        assert worker.returncode == EXIT_REQUEUE, said
        assert "stopped by a signal during a measurement" in said.splitlines()[-1]
        assert saved(same / "state") == (5 if is_there == exported else 0)
    code, said = outcome(same)
    assert code == EXIT_DONE, said
    assert sha256_of(same / WEIGHTS) == sha256_of(reference / WEIGHTS)
    again, once = load(same).manifest.metrics, load(reference).manifest.metrics
    assert again == once


@pytest.mark.slow
def test_a_stage_without_its_reward_model_is_a_user_error(run: Path) -> None:
    config = rl_settings(reward={"general_chat": {"score": "reward_model"}})
    code, said = outcome(freeze(run, "lonely", "rl", config, {"model": "sft"}))
    assert code == EXIT_USER_ERROR
    assert "set inputs.reward_model" in said.splitlines()[-1]
