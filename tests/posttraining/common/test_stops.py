"""SFT and the reward model: killed and stopped by a full disk, they end with the weights of an unbroken stage.

A stop signal is answered in their measurements and in those of RL too, wherever in them it comes.
"""

import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.artifact import load
from pipeline.core.context import StageContext, StopFlag
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR, Requeue
from pipeline.core.files import sha256_of
from pipeline.core.progress import Progress
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
MEASURING: dict[str, dict[str, Any]] = {
    "sft": {**SFT, "sequences_per_device": 4},
    "reward_model": {
        **SETTINGS["reward_model"],
        "on_policy": {"share": 0.1, "samples_per_prompt": 1},
        "best_of_n": {"domains": ["math"], "prompts_per_domain": 2, "samples_per_prompt": 4},
        "sampling": {"max_completion_length": 8, "batch_size": 4},
    },
    "rl_math": RL,
}
"""Batches so small that a measurement looks at its stop flag more than once."""
STOPS: dict[str, list[tuple[str, int, bool]]] = {
    "sft": [
        ("held-out loss before training", 1, False),
        ("measuring what was learned", 1, True),
        # The held-out loss has looked twice, then come the completions.
        ("measuring what was learned", 3, True),
    ],
    "reward_model": [
        ("sampling replies for the pairs", 1, False),
        ("accuracy before training", 1, False),
        ("accuracy after training", 1, True),
        ("best of n before RL", 1, True),
        # Two batches of replies, then their scores.
        ("best of n before RL", 3, True),
    ],
    "rl_math": [("reward before training", 1, False), ("reward after training", 1, True)],
}
"""What the stage says that it does when it is stopped, at which look meanwhile, and whether it has trained by then."""


@dataclass
class FlagInAMeasurement(StopFlag):
    """A stop flag that a signal raises just before the `at`-th look while the stage says that it does `doing`."""

    progress: Progress
    doing: str
    at: int
    looks: int = 0

    @property
    def raised(self) -> bool:  # type: ignore[override]
        self.looks += self.progress.label == self.doing
        return self.looks >= self.at


def stop_in_every_measurement(run: Path, name: str) -> None:
    """Attempts at a stage of which each is stopped in the next of its measurements."""
    config = stage_config(name, **{**TRAINING, **MEASURING[name], "save_every_steps": 1000})
    inputs = {"model": run / "base"} if name == "rl_math" else {"model": run / "base", "data": run / "sft_data"}
    entry = load_symbol(STAGE_TYPES["rl" if name == "rl_math" else name].entry)
    for doing, at, trained in STOPS[name]:
        context = StageContext.for_test(name, config, inputs, run / name)
        context.stop = FlagInAMeasurement(context.progress, doing, at)
        with pytest.raises(Requeue, match="stopped by a signal during a measurement"):
            entry(context)
        assert (context.progress.label, context.stop.looks) == (doing, at)
        assert (newest_checkpoint(context.state) is not None) == trained, doing


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURING)
def test_a_stop_is_answered_in_every_measurement(name: str, tmp_path: Path) -> None:
    finished(tmp_path, "base", write_model)
    finished(tmp_path, "sft_data", write_data)
    run_on_ranks(stop_in_every_measurement, 1, tmp_path, name)
