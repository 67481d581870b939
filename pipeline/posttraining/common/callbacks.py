"""From a transformers trainer to its stage: progress, metrics, stop signals, complete checkpoints."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.core.context import StageContext
from pipeline.core.errors import Requeue
from pipeline.core.saving import SaveTimer
from pipeline.posttraining.common.checkpoints import PREFIX, complete_checkpoint
from pipeline.posttraining.common.counters import restore_counters, save_counters
from pipeline.pretraining.engine.distributed import any_rank_each, waiting_for_files

SHOWN_METRICS = ("loss", "reward", "accuracy", "kl")
"""Metrics of the trainers that are shown beside the progress bar, where a trainer has them."""


class AlreadyTrained(Exception):
    """Training went on from its last step: nothing is left to train."""


class StageCallback(TrainerCallback):
    """Reports a trainer's steps to its stage, says when to save, and ends training when the stage is to stop.

    Every rank has one. `on_epoch_begin`, `on_step_begin`, `on_step_end` and `on_save` are collectives; the trainer
    calls them on all ranks.
    """

    def __init__(self, context: StageContext[Any]) -> None:
        self._context = context
        self.trainer: Any = None
        """Whose steps are reported; to be set before training."""
        self._stopped_at: int | None = None
        self._timer = SaveTimer(context.config)
        self._saving = ExitStack()
        """What holds from the step that is to be saved until it is."""
        self._loading = ExitStack()
        """What holds until all ranks have loaded what they train."""

    def wait_for_loading(self) -> None:
        """To be called before training: until the first step, ranks wait for one that is slow to load a checkpoint."""
        self._loading.enter_context(waiting_for_files())

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
        """Starts the progress bar at the step that training resumes from; what came before counts as no step's time."""
        if state.global_step:
            restore_counters(self.trainer, self._checkpoint(state))
        with self._context.no_step():
            self._timer.saved()
        self._context.progress.start(total=state.max_steps, counted="steps", label="train", done=state.global_step)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ends training that is at its last step: transformers 5.23 would make one more if that is inside an epoch.

        Raises:
            AlreadyTrained: if it is; the trainer has loaded the checkpoint by then.
        """
        if state.global_step >= state.max_steps:
            self._loading.close()
            raise AlreadyTrained

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Before the first step, waits for ranks that still load; transformers reads each rank's random state last."""
        self._loading.close()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advances the progress bar; once any rank got a stop signal, all save this step and end training.

        The last step is saved as well, so that a stop during what comes after training costs none of it.
        """
        self._context.progress.update(state.global_step)
        # Clocks differ: rank 0 decides for all.
        is_due = self._context.rank == 0 and self._timer.is_due(state.global_step)
        stop, is_due = any_rank_each(self._context.stop_requested(), is_due)
        is_last = state.global_step >= state.max_steps
        if stop and not is_last:
            self._stopped_at = state.global_step
            control.should_training_stop = True
        if stop or is_due or is_last:
            control.should_save = True
            control.should_log |= is_last
            self._saving.enter_context(self._context.saving())
            self._saving.enter_context(waiting_for_files())

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Completes the checkpoint that the trainer has written."""
        with self._saving:
            save_counters(self.trainer, self._checkpoint(state))
            complete_checkpoint(self._context.state, state.global_step)
        self._timer.saved()

    def _checkpoint(self, state: TrainerState) -> Path:
        return self._context.state / f"{PREFIX}{state.global_step}"

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Passes the trainer's metrics on to the tracker and the progress bar, without those that are not finite.

        TRL logs NaN for an environment of which a batch had no completion. What the trainer logs at its end, its times
        and a mean over the steps of this attempt, is left out: it depends on when attempts ended.
        """
        if "train_runtime" in (logs or {}):
            return
        finite = {
            name: float(value)
            for name, value in (logs or {}).items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        tokens = int(finite.get("num_tokens", state.num_input_tokens_seen))
        self._context.progress.note(**{name: finite[name] for name in SHOWN_METRICS if name in finite})
        metrics = {f"train/{name}": value for name, value in finite.items()}
        self._context.tracker.log(metrics, tokens=tokens, step=state.global_step)
