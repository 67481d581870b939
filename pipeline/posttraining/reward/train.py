"""The stage `reward_model`: TRL's RewardTrainer on preference pairs."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.checkpoints import export_model, last_complete_checkpoint, measured_once, tokens_seen
from pipeline.posttraining.common.trainer_arguments import accumulation_steps, common_arguments
from pipeline.posttraining.data.sft_data import read_rows
from pipeline.posttraining.reward.config import RewardModelConfig
from pipeline.posttraining.reward.granite import register
from pipeline.posttraining.reward.scoring import load_reward_model, raw_scores, write_scale


def trainer_arguments(context: StageContext[RewardModelConfig]) -> RewardConfig:
    """TRL's arguments for the stage's settings."""
    config = context.config
    return RewardConfig(
        **common_arguments(context, config),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.pairs_per_device,
        gradient_accumulation_steps=accumulation_steps(
            "pairs", config.pairs_per_step, config.pairs_per_device, context.world_size
        ),
        max_length=config.max_length,
        center_rewards_coefficient=config.center_rewards_coefficient,
    )


def run(context: StageContext[RewardModelConfig]) -> StageResult:
    """Train the reward model and measure its pairwise accuracy on held-out prompts, before and after."""
    register()
    config = context.config
    start = context.inputs["model"].checkpoint
    folder = context.inputs["data"].directory
    held_out = read_rows(folder / "preference_validation.jsonl")
    callback = StageCallback(context)
    trainer = RewardTrainer(
        model=str(start),
        args=trainer_arguments(context),
        train_dataset=Dataset.from_list(read_rows(folder / "preference_train.jsonl")),
        processing_class=AutoTokenizer.from_pretrained(start),
        callbacks=[callback],
    )
    before = measured_once(context.state / "before.json", lambda: held_out_scores(start, held_out, config))
    resumed = last_complete_checkpoint(context.state)
    outcome = trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    callback.raise_if_stopped()
    checkpoint = export_model(trainer, context.output)
    after = held_out_scores(checkpoint, held_out, config)
    if trainer.args.should_save:
        write_scale(checkpoint, rejected=after["rejected"], chosen=after["chosen"])
    return StageResult(
        metrics={
            "accuracy/before": before["accuracy"],
            "accuracy/after": after["accuracy"],
            "score/chosen": after["chosen"],
            "score/rejected": after["rejected"],
            "loss/train": float(outcome.training_loss),
            "steps": float(trainer.state.global_step),
        },
        measure="pairwise accuracy",
        before=before["accuracy"],
        after=after["accuracy"],
        tokens=tokens_seen(trainer),
    )


def held_out_scores(checkpoint: Path, pairs: list[dict[str, Any]], config: RewardModelConfig) -> dict[str, float]:
    """Share of pairs whose chosen reply scores higher, and the mean score of either side."""
    model, tokenizer = load_reward_model(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    # The head reads the last token that is no padding.
    model.config.pad_token_id, tokenizer.padding_side = tokenizer.pad_token_id, "right"
    prompts = [pair["prompt"][0]["content"] for pair in pairs]
    chosen, rejected = (
        raw_scores(
            model,
            tokenizer,
            prompts,
            [pair[side][0]["content"] for pair in pairs],
            config.max_length,
            config.pairs_per_device,
        )
        for side in ("chosen", "rejected")
    )
    accuracy = fmean(good > bad for good, bad in zip(chosen, rejected, strict=True))
    return {"accuracy": accuracy, "chosen": fmean(chosen), "rejected": fmean(rejected)}
