"""From a transformers trainer to its stage: progress, metrics, stop signals, complete checkpoints."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.core.context import StageContext
from pipeline.core.errors import Requeue
from pipeline.posttraining.common.checkpoints import complete_checkpoint
from pipeline.pretraining.engine.distributed import any_rank

SHOWN_METRICS = ("loss", "reward", "accuracy", "kl")
"""Metrics of the trainers that are shown beside the progress bar, where a trainer has them."""


class StageCallback(TrainerCallback):
    """Reports a trainer's steps to its stage, and ends training when the stage is to stop.

    Every rank has one. `on_step_end` and `on_save` are collectives; the trainer calls them on all ranks.
    """

    def __init__(self, context: StageContext[Any]) -> None:
        self._context = context
        self._stopped_at: int | None = None

    def raise_if_stopped(self) -> None:
        """To be called after training.

        Raises:
            Requeue: if training ended on a stop signal, its state saved.
        """
        if self._stopped_at is not None:
            raise Requeue(f"{self._context.stage} saved its state at step {self._stopped_at}")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Starts the progress bar at the step that training resumes from."""
        self._context.progress.start(total=state.max_steps, unit="steps", label="train", done=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advances the progress bar; once any rank got a stop signal, all save this step and end training."""
        self._context.progress.update(state.global_step)
        if state.global_step < state.max_steps and any_rank(self._context.stop_requested()):
            self._stopped_at = state.global_step
            control.should_save = True
            control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Completes the checkpoint that the trainer has written."""
        complete_checkpoint(self._context.state, state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Passes the trainer's metrics on to the tracker and the progress bar, without those that are not finite.

        TRL logs NaN for an environment of which a batch had no completion.
        """
        finite = {
            name: float(value)
            for name, value in (logs or {}).items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        tokens = int(finite.get("num_tokens", state.num_input_tokens_seen))
        self._context.progress.note(**{name: finite[name] for name in SHOWN_METRICS if name in finite})
        self._context.tracker.log({f"train/{name}": value for name, value in finite.items()}, tokens=tokens)
