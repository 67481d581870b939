"""The stage `reward_model`: TRL's RewardTrainer on preference pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import AutoConfig, AutoTokenizer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import DataError
from pipeline.inference.conversation_ids import Message
from pipeline.inference.loading import LoadedModel, load_model
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.row_order import IN_ORDER, row_order, train_in_order
from pipeline.posttraining.common.trainer_arguments import batch_arguments, common_arguments
from pipeline.posttraining.common.training import (
    baseline_metrics,
    export_model,
    stop_check,
    tokens_seen,
    train,
)
from pipeline.posttraining.data.jsonl import read_jsonl, write_jsonl
from pipeline.posttraining.reward.best_of_n import Picks, best_of_n, held_out_problems
from pipeline.posttraining.reward.config import RewardModelConfig
from pipeline.posttraining.reward.gate import best_of_n_metrics, check_gate
from pipeline.posttraining.reward.on_policy import with_own_mistakes
from pipeline.posttraining.reward.pair_scores import pair_metrics
from pipeline.posttraining.reward.scoring import load_reward_model, raw_scores, write_reward_scale
from pipeline.posttraining.reward.tokenized_pairs import (
    TOO_LONG,
    held_out_short_enough,
    pair_tokens,
    say_too_long,
    short_enough,
)
from pipeline.pretraining.engine.distributed import waiting_for_files
from pipeline.pretraining.model.architecture import check_reward_head


def trainer_arguments(context: StageContext[RewardModelConfig]) -> RewardConfig:
    """TRL's arguments for the stage's settings.

    Raises:
        ConfigError: if the ranks cannot share a step's pairs evenly.
    """
    config = context.config
    return RewardConfig(
        **common_arguments(context, config),
        **batch_arguments(context, config.step_size),
        num_train_epochs=config.epochs,
        # Pairs that are longer are left out, and named, before.
        max_length=None,
        center_rewards_coefficient=config.center_rewards_coefficient,
        **IN_ORDER,
    )


def run(context: StageContext[RewardModelConfig]) -> StageResult:
    """Trains a reward model from the input `model` on the preference pairs of the input `data`; every rank calls it.

    Its pairwise accuracy on held-out prompts is measured before and after, of each kind of rejection apart, and which
    of the start model's replies it picks. The scale of its rewards is written beside its weights.

    Raises:
        GateError: if the gate is to stop a stage whose model is not fit to be followed.
        ConfigError: if the ranks cannot share a step's pairs evenly, or the pairs were tokenized for another model.
        DataError: if there are no pairs, or none of at most `max_length` tokens.
        CheckpointError: for a model that transformers has no scalar head for, or if the trained one does not score
            chosen responses higher than rejected ones.
        DiskFullError: if there is no room for a checkpoint.
        Requeue: after a stop signal, the trainer's state saved. It is looked at after every step, and between the
            batches of every measurement.
    """
    config = context.config
    start = context.inputs["model"].checkpoint
    check_reward_head(AutoConfig.from_pretrained(start), str(start))
    folder = context.inputs["data"].directory
    held_out = read_jsonl(folder / "preference_validation.jsonl")
    pairs = read_jsonl(folder / "preference_train.jsonl")
    if not held_out or not pairs:
        raise DataError(
            f"{folder}: no preference pairs to train on or to measure with, set preference_pairs and "
            "preference_validation_pairs of its stage above 0 or add rows to preference_files"
        )
    callback = StageCallback(context)
    arguments = trainer_arguments(context)
    tokenizer = AutoTokenizer.from_pretrained(start)
    between = stop_check(context)
    context.progress.doing("sampling replies for the pairs")
    replaced, held_out = (
        with_own_mistakes(
            each,
            partial(_start_model, start),
            config.on_policy,
            config.sampling,
            context.state / "on_policy" / name,
            context.derive_seed(f"on_policy/{name}") % 2**62,
            between,
        )
        for name, each in (("train", pairs), ("held_out", held_out))
    )
    context.progress.doing("tokenizing replies of the model")
    tokens = pair_tokens(folder, pairs, replaced, tokenizer, start, context.state / "own_mistakes.arrow")
    tokens, left_out = short_enough(tokens, config.max_length)
    held_out, also = held_out_short_enough("preference_validation", held_out, tokenizer, config.max_length)
    if (left_out := [*left_out, *also]) and context.rank == 0:
        print(say_too_long(left_out, config.max_length))
        write_jsonl(context.output / TOO_LONG, left_out)
    # They are large, and tokenized.
    del pairs, replaced
    with waiting_for_files():
        trainer = RewardTrainer(
            model=str(start),
            args=arguments,
            train_dataset=tokens,
            processing_class=tokenizer,
            callbacks=[callback],
        )
    order = row_order(len(tokens), config.pairs_per_step, config.epochs, context.derive_seed("order"))
    train_in_order(trainer, order, config.pairs_per_step)
    context.progress.doing("accuracy before training")
    before = baseline_metrics(context.state / "before.json", lambda: pairwise_metrics(start, held_out, config, between))
    context.progress.doing("starting the trainer")
    loss = train(trainer, callback, context.state)
    checkpoint = export_model(trainer, context.output)
    context.progress.doing("accuracy after training")
    after = pairwise_metrics(checkpoint, held_out, config, between)
    context.progress.doing("best of n before RL")
    picks = _best_of_n(context, start, checkpoint, held_out, between)
    check_gate(context.stage, config.gate, after, picks)
    if trainer.args.should_save:
        write_reward_scale(checkpoint, rejected=after["rejected"], chosen=after["chosen"])
    return StageResult(
        metrics={
            "accuracy/before": before["accuracy"],
            "accuracy/after": after["accuracy"],
            "score/chosen": after["chosen"],
            "score/rejected": after["rejected"],
            **{name: value for name, value in after.items() if "/" in name or name == "margin"},
            **best_of_n_metrics(picks),
            "loss/train": loss,
            **({"pairs_too_long": float(len(left_out))} if left_out else {}),
            "steps": float(trainer.state.global_step),
        },
        measure="pairwise accuracy",
        before=before["accuracy"],
        after=after["accuracy"],
        tokens=tokens_seen(trainer),
    )


def pairwise_metrics(
    checkpoint: Path,
    pairs: list[dict[str, Any]],
    config: RewardModelConfig,
    between: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """How a checkpoint's reward model orders preference pairs; a collective.

    Args:
        checkpoint: its folder.
        pairs: with prompt, chosen and rejected response.
        config: for lengths and batches.
        between: called after each batch; it may raise to end the measurement.

    Returns:
        `pair_scores.pair_metrics`, and `chosen` and `rejected`, the mean scores.
    """
    model, tokenizer = _scoring_model(checkpoint)
    chosen, rejected = (
        raw_scores(
            model,
            tokenizer,
            [pair["prompt"] + pair[side] for pair in pairs],
            config.max_length,
            config.pairs_per_device,
            between,
        )
        for side in ("chosen", "rejected")
    )
    return {**pair_metrics(pairs, chosen, rejected), "chosen": fmean(chosen), "rejected": fmean(rejected)}


def _scoring_model(checkpoint: Path) -> tuple[Any, Any]:
    with waiting_for_files():
        model, tokenizer = load_reward_model(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    # A causal language model's configuration may lack it, and the head looks for the last token that is not padding.
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def _start_model(start: Path) -> LoadedModel:
    with waiting_for_files():
        return load_model(start)


def _best_of_n(
    context: StageContext[RewardModelConfig],
    start: Path,
    checkpoint: Path,
    held_out: list[dict[str, Any]],
    between: Callable[[], None],
) -> dict[str, Picks]:
    config = context.config
    problems = held_out_problems(held_out, config.best_of_n)
    if not problems:
        return {}
    model, tokenizer = _scoring_model(checkpoint)

    def score(conversations: Sequence[list[Message]]) -> list[float]:
        return raw_scores(model, tokenizer, conversations, config.max_length, config.pairs_per_device, between)

    seed = context.derive_seed("best_of_n") % 2**62
    return best_of_n(problems, _start_model(start), score, config.best_of_n, config.sampling, seed, between)
