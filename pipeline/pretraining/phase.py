"""One phase of pretraining: the checkpoint before, tokens and a schedule → the next checkpoint."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.core.artifact import IMPORTED
from pipeline.core.context import StageContext, StageResult
from pipeline.core.disk import reporting_full_disk
from pipeline.core.errors import CheckpointError, ConfigError, Requeue
from pipeline.core.files import write_json
from pipeline.pretraining import merging
from pipeline.pretraining.config import MergeConfig, PhaseConfig
from pipeline.pretraining.data.fill_in_the_middle import FillInTheMiddle
from pipeline.pretraining.data.stream import TokenStream
from pipeline.pretraining.data.vocabularies import check_vocabularies
from pipeline.pretraining.engine import checkpoints, optimizer_state
from pipeline.pretraining.engine.distributed import requeue_if_stopped
from pipeline.pretraining.engine.engine import join_process_group, leave_process_group, start_engine
from pipeline.pretraining.engine.logits_check import check_logits, reference_logits
from pipeline.pretraining.engine.step_checkpoints import StepCheckpoints
from pipeline.pretraining.model.model import (
    build_model,
    build_training_model,
    check_shape,
    continued_config,
    granite_config,
    initialize,
    set_rotary_embedding,
)
from pipeline.pretraining.schedules import schedule_of
from pipeline.pretraining.trainer import Trainer
from pipeline.pretraining.validation import HeldOutLoss, measure_held_out_loss

LOG = logging.getLogger(__name__)


def run(context: StageContext[PhaseConfig]) -> StageResult:
    """Trains one phase; every rank runs it.

    In this order: what can be checked without a model (vocabularies, the mixture against the tokens); the model,
    initialized or with the weights of the phase before; the process group, the newest step checkpoint, the engine; the
    optimizer state of the phase before, and the logits check that all of it is what was saved; held-out loss; training,
    which puts a step checkpoint, if there is one, in the place of all that; the merge, if one is set; held-out loss
    again; and rank 0 writes `checkpoint/` and `training_state/`. The loss at the start is measured with the rotary base
    that the model before was trained with, all else with the phase's.

    Inputs: `tokens` (tokenize), `tokenizer`, and `model`, the phase before; without it the model is initialized.

    Raises:
        DataError: for a mixture that the tokens cannot meet, or tokens of another vocabulary, before the first step;
            or if too many steps in a row had to be skipped.
        CheckpointError: for a checkpoint of another shape or vocabulary, or one that does not load as it was saved.
        ConfigError: for settings that the shape of the checkpoint rules out.
        DiskFullError: if there is no room for a checkpoint or for what is handed on.
        Requeue: after a stop signal, with everything saved. It is looked at after every step, and between the forward
            passes of every measurement and merge.
    """
    phase, shards = context.config, context.inputs["tokens"].directory / "tokens"
    folder = context.inputs["tokenizer"].directory / "tokenizer"
    before = context.inputs["model"].directory if "model" in context.inputs else None
    context.progress.doing("opening the tokens")
    takes_shape, model_config = phase.model is None, None
    if takes_shape:
        phase, model_config = _continued(context, before)
        context = replace(context, config=phase)
    check_vocabularies(phase.shape.vocab_size, folder, shards, before and before / "checkpoint", takes_shape)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    transforms = {}
    if (config := phase.fill_in_the_middle) is not None and phase.rearranged_domains:
        transforms = dict.fromkeys(phase.rearranged_domains, FillInTheMiddle(config, folder))
    stream = TokenStream(shards, phase.mixture, phase.context, context.derive_seed("data order"), transforms)
    samples = phase.steps * phase.sequences_per_step
    epochs = stream.check_epochs(samples, phase.max_epochs)

    context.progress.doing("building the model")
    model, state, progress = _start(context, tokenizer, before, model_config)
    schedule = schedule_of(phase, progress["tokens"], progress["learning_rate"])
    join_process_group()
    step_checkpoints = StepCheckpoints(context.state / "steps", phase, context.local_rank)
    engine = start_engine(build_training_model(model, phase), phase, context.world_size, step_checkpoints.universal)
    far_from = progress["context"] or phase.context

    def held_out() -> HeldOutLoss:
        sequences = phase.validation.sequences_per_domain
        return measure_held_out_loss(
            engine,
            shards,
            phase.context,
            sequences,
            phase.sequences_per_rank,
            far_from,
            phase.sequence_parallel,
            between=lambda: requeue_if_stopped(context, "the measurement of held-out loss"),
        )

    if state is not None:
        if optimizer_state.has_moments(state):
            optimizer_state.restore_training_state(engine, state, progress["adam_step"])
        elif context.rank == 0:
            LOG.warning(
                "%s: an imported model has no optimizer state: its weights go on with moments of 0, at token 0", before
            )
        check_logits(engine, torch.tensor(progress["logits"]), str(before))
    context.progress.doing("held-out loss before training")
    start_loss = held_out()
    # The model before is measured with the rotary base it was trained with; from here on it is the phase's.
    set_rotary_embedding(model, model.config)
    trainer = Trainer(context, engine, stream, schedule, step_checkpoints, held_out, progress["tokens"])
    trainer.train()
    context.progress.doing("held-out loss after training")
    end_state = optimizer_state.gather_training_state(engine)
    merged: dict[str, Any] = {}
    with trainer.saving_if_stopped(phase.steps), _keeping_weights(engine, end_state):
        if phase.merge is not None:
            end_state, merged = _merge(engine, end_state, state, phase.merge, held_out, start_loss.near)
        end_loss = held_out()
    stored_logits = reference_logits(engine).tolist()

    tokens = phase.steps * phase.tokens_per_step
    skipped_steps = trainer.optimizer.guard.skipped_steps
    context.progress.doing("writing the checkpoint")
    if context.rank == 0:
        end_progress = {
            "tokens": progress["tokens"] + tokens,
            "learning_rate": schedule.end_rate,
            "adam_step": optimizer_state.adam_step_count(engine),
            "context": phase.context,
            "samples": stream.mixture.counts(samples),
            "skipped_steps": skipped_steps,
            "logits": stored_logits,
        }
        with reporting_full_disk(context.output):
            dtype = torch.bfloat16 if phase.precision == "bf16" else torch.float32
            weights = checkpoints.model_weights(end_state, dtype)
            checkpoints.save_model(weights, model, tokenizer, context.output / "checkpoint")
            if merged:
                write_json(context.output / "merge.json", merged)
            checkpoints.save_training_state(end_state, end_progress, context.output / "training_state")
    engine.destroy()
    leave_process_group()
    metrics = {
        **start_loss.metrics("loss/start"),
        **end_loss.metrics("loss/end"),
        **{f"epochs/{domain}": value for domain, value in epochs.items()},
        "learning_rate/start": schedule.rate_at(0),
        "learning_rate/end": schedule.end_rate,
        "skipped_steps": float(len(skipped_steps)),
        **({"merge/weight": merged["chosen"]["weight"]} if merged else {}),
        **trainer.throughput(),
    }
    long = phase.context > far_from and start_loss.far is not None and end_loss.far is not None
    return StageResult(
        metrics=metrics,
        measure=f"loss beyond {far_from} tokens" if long else "held-out loss",
        before=start_loss.far if long else start_loss.mean,
        after=end_loss.far if long else end_loss.mean,
        tokens=tokens,
    )


def _continued(context: StageContext[PhaseConfig], before: Path | None) -> tuple[PhaseConfig, PreTrainedConfig]:
    """The settings and the model's configuration of a phase that takes its model's shape from the checkpoint before.

    Raises:
        CheckpointError: for an architecture that phases cannot train.
        ConfigError: if there is no checkpoint, or its shape rules settings out.
    """
    where = f"stages.{context.stage}.config"
    if before is None:
        raise ConfigError(f"{where}.model is null, but there is no model before; set it, or inputs.model")
    try:
        return continued_config(context.config, AutoConfig.from_pretrained(before / "checkpoint"), str(before))
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from None


def _start(
    context: StageContext[PhaseConfig],
    tokenizer: PreTrainedTokenizerBase,
    before: Path | None,
    model_config: PreTrainedConfig | None,
) -> tuple[PreTrainedModel, dict[str, Tensor] | None, dict[str, Any]]:
    """The model that a phase begins with, on the CPU in fp32.

    Args:
        context: of the phase.
        tokenizer: whose special tokens the model's configuration names.
        before: folder of the phase before, or of an imported model; None for the first phase.
        model_config: of the model; None is a Granite of the phase's shape.

    Returns:
        The model; the training state of the phase before (`optimizer_state`), without moments for an imported model,
        None for the first phase; and the numbers to continue from: `tokens` trained, `learning_rate` at their end,
        `adam_step`, `context` before, and `logits` to check the loaded model with.

    Raises:
        CheckpointError: for a checkpoint of another shape, or without a training state.
    """
    phase = context.config
    config: Any = model_config
    if config is None:
        assert phase.rope_theta is not None
        config = granite_config(phase.shape, phase.context, phase.rope_theta)
    config.update(checkpoints.token_ids(tokenizer))
    config._attn_implementation = phase.attention
    model = build_model(config)
    if before is None:
        initialize(model, phase.shape, context.derive_seed("initialization"))
        return model, None, {"tokens": 0, "learning_rate": None, "adam_step": 0, "context": None}
    config_before = AutoConfig.from_pretrained(before / "checkpoint")
    if model_config is None:
        check_shape(config_before, phase.shape, str(before))
    set_rotary_embedding(model, config_before)
    if (before / IMPORTED).exists():
        state, progress = checkpoints.load_imported(before)
    else:
        state, progress = checkpoints.load_training_state(before / "training_state")
    model.load_state_dict(checkpoints.model_weights(state, torch.float32), strict=False)
    model.tie_weights()
    return model, state, progress


@contextmanager
def _keeping_weights(engine: Any, trained: dict[str, Tensor]) -> Iterator[None]:
    """Around merging: a stop leaves the engine as training ended, which is what is saved. A collective if it came."""
    try:
        yield
    except Requeue:
        optimizer_state.set_weights(engine, trained)
        raise


def _merge(
    engine: Any,
    new: dict[str, Tensor],
    old: dict[str, Tensor] | None,
    config: MergeConfig,
    held_out: Callable[[], HeldOutLoss],
    short_before: float,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tries the merges of the phase's model with the one before, and puts the chosen one into the engine; a collective.

    Args:
        engine: whose weights change; moments stay those of training.
        new: training state at the end of the phase.
        old: training state of the phase before.
        config: what to try.
        held_out: measures the engine's model.
        short_before: loss of the model before at positions that its context had.

    Returns:
        The new training state with the merged weights, and a record of all that was tried, for `merge.json`.

    Raises:
        CheckpointError: if there is no phase before.
    """
    if old is None:
        raise CheckpointError("merge is set, but there is no model before; set it to null")
    names = [name for name in new if name.startswith(f"{optimizer_state.MASTER}.")]
    trained, before = ({name: state[name] for name in names} for state in (new, old))
    tried = []
    for method, weight in merging.methods_and_weights(config):
        optimizer_state.set_weights(engine, merging.merge(trained, before, method, weight))
        loss = held_out()
        long = loss.mean if loss.far is None else loss.far
        tried.append(merging.MergedModel(method, weight, short=loss.near, long=long))
    chosen = merging.choose(tried, short_before, config.short_loss_tolerance)
    weights = merging.merge(trained, before, chosen.method, chosen.weight)
    optimizer_state.set_weights(engine, weights)
    record = {"short_before": short_before, "tried": list(map(asdict, tried)), "chosen": asdict(chosen)}
    return {**new, **weights}, record
