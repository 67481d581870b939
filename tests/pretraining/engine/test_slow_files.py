"""Slow disks: ranks wait for one that reads or writes longer than the process group's time limit."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from deepspeed.constants import default_pg_timeout
from deepspeed.utils import groups
from torch import distributed

from pipeline.core.artifact import load
from pipeline.core.context import StageContext
from pipeline.pretraining import phase
from pipeline.pretraining.engine import checkpoints, step_checkpoints
from pipeline.pretraining.engine.distributed import barrier, set_time_limit, time_limits, waiting_for_files
from pipeline.pretraining.engine.engine import join_process_group
from tests.distributed import run_on_ranks
from tests.pretraining.training import phase as phase_config
from tests.runs import write_phase_inputs

LIMIT = "1"
"""DEEPSPEED_TIMEOUT: one minute, the shortest there is."""
LONGER = 75.0
"""Seconds."""


def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, on a disk that takes longer than the time limit."""

    def slow(*arguments: Any, **settings: Any) -> Any:
        time.sleep(LONGER)
        return function(*arguments, **settings)

    return slow


def train_on_slow_disks(folder: Path) -> None:
    """A phase whose first rank is slow to read its inputs, to save a step and to write what is handed on."""
    inputs = {role: load(folder / role) for role in ("tokens", "tokenizer")}
    context = StageContext.for_test("phase", phase_config(1, 4, save_every_steps=3), inputs, folder / "phase")
    context.rank = context.local_rank = int(os.environ["RANK"])
    context.world_size = 2
    if context.rank == 0:
        time.sleep(LONGER)
        step_checkpoints.write_manifest = slowly(step_checkpoints.write_manifest)
        checkpoints.save_training_state = slowly(checkpoints.save_training_state)
        torch.save = slowly_once(torch.save)
    phase.run(context)


def slowly_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, slow when it is called first."""
    calls = [slowly(function)]
    return lambda *arguments, **settings: (calls.pop() if calls else function)(*arguments, **settings)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_a_rank_that_is_slow_to_read_or_write_ends_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSPEED_TIMEOUT", LIMIT)
    write_phase_inputs(tmp_path)
    run_on_ranks(train_on_slow_disks, 2, tmp_path)
    assert (tmp_path / "phase/partial/training_state/state.safetensors").exists()


def wait_with_and_without(path: Path) -> None:
    """A rank that is late inside `waiting_for_files`, in both groups, at its end, and then outside of it."""
    join_process_group()
    assert set(time_limits().values()) == {default_pg_timeout}
    set_time_limit(timedelta(seconds=5))
    late = os.environ["RANK"] == "0"
    of_deepspeed: Any = groups._get_data_parallel_group()
    for group in (None, of_deepspeed):
        with waiting_for_files():
            if late:
                time.sleep(8)
            distributed.barrier(group)
    with waiting_for_files():
        if late:
            time.sleep(8)
    barrier()
    assert list(time_limits().values()) == [timedelta(seconds=5)] * 2
    if late:
        time.sleep(10)
        path.write_text("late")
        return
    with pytest.raises(RuntimeError, match="Timed out"):
        barrier()
    path.with_suffix(".hung").write_text("noticed")


@pytest.mark.slow
@pytest.mark.exhaustive
def test_outside_a_rank_that_hangs_is_noticed(tmp_path: Path) -> None:
    run_on_ranks(wait_with_and_without, 2, tmp_path / "rank")
    assert {path.name for path in tmp_path.iterdir()} == {"rank", "rank.hung"}
