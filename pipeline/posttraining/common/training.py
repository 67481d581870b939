"""What every stage with a trainer does around it: the baseline, training that resumes, the checkpoint it hands on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.context import StageContext
from pipeline.core.disk import reporting_full_disk
from pipeline.core.files import read_json, write_json
from pipeline.posttraining.common.callbacks import AlreadyTrained, StageCallback
from pipeline.posttraining.common.checkpoints import newest_checkpoint, remove_unfinished
from pipeline.pretraining.engine.distributed import gather_objects, rank, requeue_if_stopped, waiting_for_files

ValueT = TypeVar("ValueT")


def stop_check(context: StageContext[Any]) -> Callable[[], None]:
    """What a measurement calls between its batches, on all ranks alike: it ends the stage after a stop signal.

    Nothing is saved then: what was trained before the measurement is, and an interrupted measurement begins anew.
    """
    return lambda: requeue_if_stopped(context, "a measurement")


def baseline_metrics(path: Path, evaluate: Callable[[], dict[str, ValueT]]) -> dict[str, ValueT]:
    """The metrics of the model before training, evaluated by the stage's first attempt and read by later ones.

    A collective: rank 0 says whether the file is there, and if it is not, all ranks evaluate together.

    Args:
        path: a JSON file in the stage's state.
        evaluate: returns the metrics on every rank, as what JSON holds; it may be a collective.
    """
    with waiting_for_files():
        known = gather_objects(read_json(path) if path.exists() else None)[0]
    if known is None:
        known = evaluate()
        if rank() == 0:
            write_json(path, known)
    return known


def train(trainer: Any, callback: StageCallback, state: Path) -> float | None:
    """Trains to the end, from the newest complete checkpoint if there is one; a collective.

    Args:
        trainer: one of TRL's, with `callback` among its callbacks.
        callback: reports the steps, and ends training on a stop signal.
        state: where the trainer writes its checkpoints.

    Returns:
        The mean loss over all steps, those of attempts before this one too; None if these left no row of metrics.

    Raises:
        DiskFullError: if there is no room for a checkpoint.
        Requeue: if training ended early on a stop signal, after saving a checkpoint.
    """
    if rank() == 0:
        remove_unfinished(state)
    checkpoint = newest_checkpoint(state)
    callback.wait_for_loading()
    with reporting_full_disk(state, remove_unfinished), contextlib.suppress(AlreadyTrained):
        output = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if checkpoint is None:
            callback.raise_if_stopped()
            return float(output.training_loss)
    callback.raise_if_stopped()
    return _logged_loss(trainer)


def _logged_loss(trainer: Any) -> float | None:
    """The mean loss by the rows of metrics, which a checkpoint has of earlier attempts; None if there are no rows."""
    rows = [(int(row["step"]), float(row["loss"])) for row in trainer.state.log_history if "loss" in row]
    begins = [0, *(step for step, _ in rows)]
    total = sum(loss * (step - begin) for (step, loss), begin in zip(rows, begins, strict=False))
    return total / begins[-1] if rows else None


def export_model(trainer: Any, output: Path) -> Path:
    """Writes the trained model as a plain Hugging Face folder, and returns it: `output/checkpoint`; a collective.

    It holds weights, configuration, generation configuration, tokenizer and chat template.
    """
    with waiting_for_files(), reporting_full_disk(output / "checkpoint"):
        return _write_model(trainer, output / "checkpoint")


def _write_model(trainer: Any, checkpoint: Path) -> Path:
    model = trainer.accelerator.unwrap_model(trainer.model)
    # A collective: under ZeRO-3 each rank has a part of every weight.
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.args.should_save:
        shutil.rmtree(checkpoint, ignore_errors=True)
        if model.config.tie_word_embeddings:
            # In the gathered weights the head no longer shares the embedding's memory, and would be stored beside it.
            for name in model._tied_weights_keys or ():
                weights.pop(name, None)
        # The trainer's own `save_model` would add a pickle of its arguments with paths of this machine.
        model.save_pretrained(checkpoint, state_dict=weights)
        trainer.processing_class.save_pretrained(checkpoint)
    trainer.accelerator.wait_for_everyone()
    return checkpoint


def tokens_seen(trainer: Any) -> int:
    """Tokens that the trainer went through on all ranks, by its newest row of metrics that counts them; else 0."""
    counted = [row["num_tokens"] for row in trainer.state.log_history if "num_tokens" in row]
    return int(float(counted[-1])) if counted else 0
