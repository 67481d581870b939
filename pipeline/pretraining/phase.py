"""One phase of pretraining: the checkpoint before, tokens and a schedule → the next checkpoint."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import CheckpointError
from pipeline.core.files import write_json
from pipeline.pretraining import merging
from pipeline.pretraining.config import MergeConfig, PhaseConfig
from pipeline.pretraining.data.fill_in_the_middle import FillInTheMiddle
from pipeline.pretraining.data.stream import TokenStream
from pipeline.pretraining.data.vocabularies import check_vocabularies
from pipeline.pretraining.engine import checkpoints
from pipeline.pretraining.engine import logits_check as logits
from pipeline.pretraining.engine import optimizer_state as moments
from pipeline.pretraining.engine.engine import end_communication, start_communication, start_engine
from pipeline.pretraining.engine.step_checkpoints import StepCheckpoints
from pipeline.pretraining.model.model import (
    Granite,
    check_shape,
    granite,
    granite_config,
    initialize,
    set_rotary,
    training_model,
)
from pipeline.pretraining.schedules import schedule_of
from pipeline.pretraining.trainer import Trainer
from pipeline.pretraining.validation import HeldOutLoss, measure


def run(context: StageContext[PhaseConfig]) -> StageResult:
    """Trains one phase.

    Inputs: `tokens` (tokenize), `tokenizer`, and `model`, the phase before; without it training begins.

    Raises:
        DataError: for a mixture that the tokens cannot meet, or tokens of another vocabulary, before the first step.
        CheckpointError: for a checkpoint of another shape or vocabulary.
    """
    phase, shards = context.config, context.inputs["tokens"].directory / "tokens"
    folder = context.inputs["tokenizer"].directory / "tokenizer"
    before = context.inputs["model"].directory if "model" in context.inputs else None
    check_vocabularies(phase.model.vocab_size, folder, shards, before and before / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rearrange = {}
    if (config := phase.fill_in_the_middle) is not None:
        rearrange = dict.fromkeys(config.domains, FillInTheMiddle(config, folder))
    stream = TokenStream(shards, phase.mixture, phase.context, context.derive_seed("data order"), rearrange)
    samples = phase.steps * phase.sequences_per_step
    epochs = stream.check_token_budget(samples, phase.max_epochs)

    model, state, progress = _start(context, tokenizer, before)
    schedule = schedule_of(phase, progress["tokens"], progress["learning_rate"])
    start_communication()
    resumable = StepCheckpoints(context.state / "steps", phase, context.local_rank)
    engine = start_engine(training_model(model, phase), phase, context.world_size, resumable.universal)
    border = progress["context"] or phase.context

    def held_out() -> HeldOutLoss:
        sequences = phase.validation.sequences_per_domain
        return measure(
            engine, shards, phase.context, sequences, phase.sequences_per_rank, border, phase.sequence_parallel
        )

    if state is not None:
        moments.scatter(engine, state, progress["adam_step"])
        logits.check(engine, torch.tensor(progress["logits"]), str(before))
    start_loss = held_out()
    # The model before is measured with the rotary base it was trained with; from here on it is the phase's.
    set_rotary(model, model.config)
    trainer = Trainer(context, engine, stream, schedule, resumable, held_out, progress["tokens"])
    trainer.train()
    end_state = moments.gather(engine)
    merged: dict[str, Any] = {}
    if phase.merge is not None:
        end_state, merged = _merge(engine, end_state, state, phase.merge, held_out, start_loss.near)
    end_loss = held_out()
    stored = logits.probe(engine).tolist()

    tokens = phase.steps * phase.tokens_per_step
    if context.rank == 0:
        dtype = torch.bfloat16 if phase.precision == "bf16" else torch.float32
        weights = checkpoints.model_weights(end_state, dtype)
        checkpoints.save_model(weights, model, tokenizer, context.output / "checkpoint")
        done = {
            "tokens": progress["tokens"] + tokens,
            "learning_rate": schedule.end,
            "adam_step": moments.adam_step(engine),
            "context": phase.context,
            "samples": stream.mixture.counts(samples),
            "skipped_steps": trainer.optimizer.guard.skipped,
            "logits": stored,
        }
        if merged:
            write_json(context.output / "merge.json", merged)
        checkpoints.save_training_state(end_state, done, context.output / "training_state")
    engine.destroy()
    end_communication()
    metrics = {
        **start_loss.metrics("loss/start"),
        **end_loss.metrics("loss/end"),
        **{f"epochs/{domain}": value for domain, value in epochs.items()},
        "learning_rate/start": schedule.at(0),
        "learning_rate/end": schedule.end,
        "skipped_steps": float(len(trainer.optimizer.guard.skipped)),
        **({"merge/weight": merged["chosen"]["weight"]} if merged else {}),
        **trainer.throughput(),
    }
    long = phase.context > border and start_loss.far is not None and end_loss.far is not None
    return StageResult(
        metrics=metrics,
        measure=f"loss beyond {border} tokens" if long else "held-out loss",
        before=start_loss.far if long else start_loss.mean,
        after=end_loss.far if long else end_loss.mean,
        tokens=tokens,
    )


def _start(
    context: StageContext[PhaseConfig], tokenizer: PreTrainedTokenizerBase, before: Path | None
) -> tuple[Granite, dict[str, Tensor] | None, dict[str, Any]]:
    """The model to train, the optimizer's state and where the schedule stands."""
    phase = context.config
    config = granite_config(phase.model, phase.context, phase.rope_theta)
    ids: Any = tokenizer
    config.bos_token_id = config.eos_token_id = ids.eos_token_id
    config.pad_token_id = ids.pad_token_id
    config._attn_implementation = phase.attention
    model = granite(config)
    if before is None:
        initialize(model, phase.model, context.derive_seed("initialization"))
        return model, None, {"tokens": 0, "learning_rate": None, "adam_step": 0, "context": None}
    config_before: Any = AutoConfig.from_pretrained(before / "checkpoint")
    check_shape(config_before, phase.model, str(before))
    set_rotary(model, config_before)
    state, progress = checkpoints.load_training_state(before / "training_state")
    model.load_state_dict(checkpoints.model_weights(state, torch.float32), strict=False)
    model.tie_weights()
    return model, state, progress


def _merge(
    engine: Any,
    new: dict[str, Tensor],
    old: dict[str, Tensor] | None,
    config: MergeConfig,
    held_out: Callable[[], HeldOutLoss],
    short_before: float,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The chosen candidate's weights, in the engine too, and what was tried; the moments stay those of training."""
    if old is None:
        raise CheckpointError("merge is set, but there is no model before; set it to null")
    names = [name for name in new if name.startswith(f"{moments.MASTER}.")]
    trained, before = ({name: state[name] for name in names} for state in (new, old))
    tried = []
    for method, weight in merging.candidates(config):
        moments.set_weights(engine, merging.merge(trained, before, method, weight))
        loss = held_out()
        long = loss.mean if loss.far is None else loss.far
        tried.append(merging.Candidate(method, weight, short=loss.near, long=long))
    chosen = merging.choose(tried, short_before, config.short_loss_tolerance)
    weights = merging.merge(trained, before, chosen.method, chosen.weight)
    moments.set_weights(engine, weights)
    record = {"short_before": short_before, "tried": list(map(asdict, tried)), "chosen": asdict(chosen)}
    return {**new, **weights}, record
