"""The stage `reward_model`: TRL's RewardTrainer on preference pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from datasets import Dataset
from transformers import AutoConfig, AutoTokenizer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import DataError
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.forged_tokens import without_forged_tokens
from pipeline.posttraining.common.trainer_arguments import batch_arguments, common_arguments
from pipeline.posttraining.common.training import (
    baseline_metrics,
    export_model,
    stop_check,
    tokens_seen,
    train,
)
from pipeline.posttraining.data.jsonl import read_jsonl
from pipeline.posttraining.reward.config import RewardModelConfig
from pipeline.posttraining.reward.scoring import load_reward_model, raw_scores, write_reward_scale
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
        max_length=config.max_length,
        center_rewards_coefficient=config.center_rewards_coefficient,
    )


def run(context: StageContext[RewardModelConfig]) -> StageResult:
    """Trains a reward model from the input `model` on the preference pairs of the input `data`; every rank calls it.

    Its pairwise accuracy on held-out prompts is measured before and after. The scale of its rewards is written beside
    its weights.

    Raises:
        ConfigError: if the ranks cannot share a step's pairs evenly.
        DataError: if there are no pairs.
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
    pairs = without_forged_tokens(
        pairs,
        tokenizer,
        lambda pair: [*pair["prompt"], *pair["chosen"], *pair["rejected"]],
        "preference_train",
    )
    context.progress.doing("tokenizing the pairs")
    # Rank 0 tokenizes the pairs, the others wait for its files.
    with waiting_for_files():
        trainer = RewardTrainer(
            model=str(start),
            args=arguments,
            train_dataset=Dataset.from_list(pairs),
            processing_class=tokenizer,
            callbacks=[callback],
        )
    between = stop_check(context)
    context.progress.doing("accuracy before training")
    before = baseline_metrics(context.state / "before.json", lambda: pairwise_metrics(start, held_out, config, between))
    context.progress.doing("starting the trainer")
    loss = train(trainer, callback, context.state)
    checkpoint = export_model(trainer, context.output)
    context.progress.doing("accuracy after training")
    after = pairwise_metrics(checkpoint, held_out, config, between)
    if trainer.args.should_save:
        write_reward_scale(checkpoint, rejected=after["rejected"], chosen=after["chosen"])
    return StageResult(
        metrics={
            "accuracy/before": before["accuracy"],
            "accuracy/after": after["accuracy"],
            "score/chosen": after["chosen"],
            "score/rejected": after["rejected"],
            **({"loss/train": loss} if loss is not None else {}),
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
        `accuracy`, the share of pairs whose chosen response scores higher than the rejected one, and `chosen` and
        `rejected`, the mean scores.
    """
    with waiting_for_files():
        model, tokenizer = load_reward_model(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    # A causal language model's configuration may lack it, and the head looks for the last token that is not padding.
    model.config.pad_token_id = tokenizer.pad_token_id
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
    accuracy = fmean(better > worse for better, worse in zip(chosen, rejected, strict=True))
    return {"accuracy": accuracy, "chosen": fmean(chosen), "rejected": fmean(rejected)}
