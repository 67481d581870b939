"""Training that stops and goes on: its mean loss, and what counts as a step's time."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from deepspeed import DeepSpeedEngine
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from pipeline.core import context as context_module
from pipeline.core.context import StageContext
from pipeline.core.errors import Requeue
from pipeline.core.progress import Progress, read_progress
from pipeline.core.saving import SavingConfig
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.trainer_arguments import deepspeed_arguments
from pipeline.posttraining.common.training import train
from pipeline.pretraining.engine.distributed import rank, set_time_limit, time_limits
from pipeline.pretraining.engine.engine import join_process_group
from tests.distributed import run_on_ranks


class Echo(nn.Module):
    """Its loss is what the row says, whatever its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, value: Tensor) -> dict[str, Tensor]:
        """The row's value as loss."""
        return {"loss": value.mean() + 0 * self.weight.sum()}


class StopBefore(TrainerCallback):
    """A stop signal that comes during a step."""

    def __init__(self, context: StageContext[Any], step: int) -> None:
        self._context, self._step = context, step

    def on_step_begin(self, args: TrainingArguments, state: Any, control: Any, **kwargs: Any) -> None:
        """Raises the flag once the step begins."""
        if state.global_step == self._step - 1:
            self._context.stop.raised = True


def attempt(
    folder: Path,
    stop_at: int = 0,
    save_every: int | None = None,
    deepspeed: Any = None,
    build: Callable[[], None] = lambda: None,
) -> float | None:
    """Trains on the losses 1 to 20, one a step, with a row of metrics every 10 steps."""
    context = StageContext.for_test("sft", SavingConfig(save_every_steps=save_every), {}, folder)
    context.rank = rank()
    context.progress = Progress(folder / "progress.json" if context.rank == 0 else None)
    context.stop_requested()
    build()
    callback = StageCallback(context)
    settings = TrainingArguments(
        str(context.state), per_device_train_batch_size=1, num_train_epochs=1, logging_steps=10, save_strategy="no",
        report_to="none", disable_tqdm=True, use_cpu=True, deepspeed=deepspeed,
    )  # fmt: skip
    rows: Any = [{"value": torch.tensor(float(each))} for each in range(1, 21)]
    trainer = Trainer(Echo(), settings, train_dataset=rows, callbacks=[callback, StopBefore(context, stop_at)])
    return train(trainer, callback, context.state)


def test_the_mean_loss_is_that_of_all_steps_after_a_stop(tmp_path: Path) -> None:
    with pytest.raises(Requeue):
        attempt(tmp_path, stop_at=15)
    assert attempt(tmp_path) == pytest.approx(10.5)


def test_the_mean_loss_has_the_steps_after_the_last_row(tmp_path: Path) -> None:
    """A checkpoint between two rows of metrics, and a stop: what was trained up to either is counted once."""
    with pytest.raises(Requeue):
        attempt(tmp_path, stop_at=9, save_every=4)
    with pytest.raises(Requeue):
        attempt(tmp_path, stop_at=13)
    assert attempt(tmp_path, save_every=7) == pytest.approx(10.5)


def test_starting_is_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer takes an hour to build, by the clock that times steps: no step takes that, on any machine."""
    hours = [0]
    clock = SimpleNamespace(monotonic=lambda: 3600 * hours[0] + time.monotonic())
    monkeypatch.setattr(context_module, "time", clock)
    attempt(tmp_path, build=lambda: hours.append(hours.pop() + 1))
    assert hours == [1]
    progress = read_progress(tmp_path / "progress.json")
    assert progress is not None
    assert 0 < progress["longest_step_seconds"] < 3600


def resume_on_a_slow_disk(folder: Path, zero_stage: int) -> None:
    """Stops, and goes on where rank 0 reads the checkpoint for longer than the time limit."""
    join_process_group()
    limit = timedelta(seconds=6)
    set_time_limit(limit)
    settings = deepspeed_arguments({"zero_optimization": {"stage": zero_stage}})
    with pytest.raises(Requeue):
        attempt(folder, stop_at=5, deepspeed=settings)
    load: Any = DeepSpeedEngine._load_checkpoint
    if rank() == 0:
        DeepSpeedEngine._load_checkpoint = lambda *args, **kwargs: (time.sleep(10), load(*args, **kwargs))[1]  # type: ignore[method-assign]
    assert attempt(folder, deepspeed=settings) == pytest.approx(10.5)
    assert set(time_limits().values()) == {limit}


@pytest.mark.slow
@pytest.mark.parametrize("zero_stage", [1, 3])
def test_a_rank_that_is_slow_to_resume_ends_nobody(zero_stage: int, tmp_path: Path) -> None:
    run_on_ranks(resume_on_a_slow_disk, 2, tmp_path, zero_stage)
