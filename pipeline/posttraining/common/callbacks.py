"""From a transformers trainer to a stage: progress, metrics, stop requests, complete checkpoints."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.core.context import StageContext
from pipeline.core.errors import Requeue
from pipeline.posttraining.common.checkpoints import mark_complete

NOTED = {"loss": "loss", "reward": "reward", "accuracy": "accuracy", "kl": "kl"}
"""Metrics shown beside the progress bar, by the trainer's name for them."""


class StageCallback(TrainerCallback):
    """Reports a trainer's steps to its stage, and ends training when the stage shall stop."""

    def __init__(self, context: StageContext[Any]) -> None:
        self._context = context
        self._stopped_at: int | None = None

    def raise_if_stopped(self) -> None:
        """Raise Requeue when training ended on a stop request, its state saved."""
        if self._stopped_at is not None:
            raise Requeue(f"{self._context.stage} saved its state at step {self._stopped_at}")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the bar at the step training resumes from."""
        self._context.progress.start(total=state.max_steps, unit="steps", label="train", done=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advance the bar; on a stop request of any rank have all ranks save the same step and end."""
        self._context.progress.update(state.global_step)
        if state.global_step < state.max_steps and _any_rank(self._context.stop_requested(), args.device):
            self._stopped_at = state.global_step
            control.should_save = True
            control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Describe the checkpoint once every rank has written its part."""
        if _distributed():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            mark_complete(self._context.state / f"checkpoint-{state.global_step}")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Pass metrics on. A domain absent from a batch has none: its NaN is left out."""
        finite = {
            name: float(value)
            for name, value in (logs or {}).items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        tokens = int(finite.get("num_tokens", state.num_input_tokens_seen))
        self._context.progress.note(**{NOTED[name]: finite[name] for name in NOTED if name in finite})
        self._context.tracker.log({f"train/{name}": value for name, value in finite.items()}, tokens=tokens)


def _distributed() -> bool:
    return torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1


def _any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on any rank, the same answer on all."""
    if not _distributed():
        return flag
    raised = torch.tensor(int(flag), device=device)
    torch.distributed.all_reduce(raised, op=torch.distributed.ReduceOp.MAX)
    return bool(raised.item())
