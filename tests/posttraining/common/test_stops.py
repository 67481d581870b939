"""SFT and the reward model: killed and stopped by a full disk, they end with the weights of an unbroken stage.

A stop signal is answered in their measurements and in those of RL too.
"""

import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.artifact import load
from pipeline.core.context import StageContext
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR, Requeue
from pipeline.core.files import sha256_of
from pipeline.posttraining.common.checkpoints import newest_checkpoint
from pipeline.stages import STAGE_TYPES, load_symbol
from tests.distributed import run_on_ranks
from tests.posttraining.tiny import EVAL_SAMPLING, PROBLEMS, TRAINING, write_data, write_model
from tests.runs import finished, freeze, outcome, start_worker, wait_until
from tests.settings import stage_config, stage_settings

WEIGHTS = "checkpoint/model.safetensors"
SFT: dict[str, Any] = {
    "epochs": 1, "sequences_per_step": 8, "sequences_per_device": 8, "max_length": 128, "packing": False,
    "max_completion_length": 8, "probe": EVAL_SAMPLING, "problems": PROBLEMS, "text_replay": None,
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "sft": SFT,
    "sft packed": {**SFT, "packing": True, "sequences_per_step": 2, "sequences_per_device": 1},
    "reward_model": {"epochs": 2, "pairs_per_step": 8, "pairs_per_device": 8, "max_length": 128},
}  # fmt: skip


def stage(run: Path, case: str) -> Path:
    """The frozen stage of a run whose model and data are the same in every folder."""
    finished(run, "base", write_model)
    finished(run, "sft_data", write_data)
    kind = case.split()[0]
    settings = stage_settings(kind, **{**TRAINING, **SETTINGS[case], "save_every_steps": 1, "log_every_steps": 4})
    return freeze(run, kind, kind, settings, {"model": "base", "data": "sft_data"})


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", SETTINGS)
def test_killed_and_stopped_by_a_full_disk_it_ends_as_if_it_had_not_been(case: str, tmp_path: Path) -> None:
    unbroken, broken = stage(tmp_path / "unbroken", case), stage(tmp_path / "broken", case)
    code, said = outcome(unbroken)
    assert code == EXIT_DONE, said

    state = broken / "state"
    worker = start_worker(broken)
    wait_until(lambda: newest_checkpoint(state) is not None, worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    saved = newest_checkpoint(state)

    worker = start_worker(broken)
    # No file may be larger than this: what a full disk or a quota says as well.
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    said = worker.communicate(timeout=300)[1].decode()
    assert worker.returncode == EXIT_USER_ERROR, said
    assert "no room to write it" in said.splitlines()[-1]
    assert newest_checkpoint(state) == saved

    code, said = outcome(broken)
    assert code == EXIT_DONE, said
    assert sha256_of(broken / WEIGHTS) == sha256_of(unbroken / WEIGHTS)
    ended, expected = load(broken).manifest, load(unbroken).manifest
    assert (ended.metrics, ended.tokens) == (expected.metrics, expected.tokens)


RL: dict[str, Any] = {
    "domain_weights": {"math": 1, "general_chat": 1}, "prompts": 16, "prompts_per_step": 4, "samples_per_prompt": 4,
    "completions_per_device": 8, "max_prompt_length": 64, "max_completion_length": 6, "probe": EVAL_SAMPLING,
    "problems": PROBLEMS, "replay_share": 0.0,
}  # fmt: skip
MEASURING: dict[str, dict[str, Any]] = {"sft": SFT, "reward_model": SETTINGS["reward_model"], "rl_math": RL}


def measure_after_a_signal(run: Path, name: str) -> None:
    """A stage that a signal reached before its first measurement: it ends in that, and has trained nothing."""
    config = stage_config(name, **{**TRAINING, **MEASURING[name], "save_every_steps": 1})
    inputs = {"model": run / "base"} if name == "rl_math" else {"model": run / "base", "data": run / "sft_data"}
    context = StageContext.for_test(name, config, inputs, run / name)
    context.stop.raised = True
    kind = STAGE_TYPES["rl" if name == "rl_math" else name]
    with pytest.raises(Requeue, match="stopped by a signal during a measurement"):
        load_symbol(kind.entry)(context)
    assert newest_checkpoint(context.state) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURING)
def test_a_stop_is_answered_in_a_measurement(name: str, tmp_path: Path) -> None:
    finished(tmp_path, "base", write_model)
    finished(tmp_path, "sft_data", write_data)
    run_on_ranks(measure_after_a_signal, 1, tmp_path, name)
