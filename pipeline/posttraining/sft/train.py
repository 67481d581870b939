"""The stage `sft`: TRL's SFTTrainer, with the loss on the assistant's turns."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.sft_trainer import SFTTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.environments import ENVIRONMENT_NAMES
from pipeline.inference.chat_template import check_assistant_mask
from pipeline.inference.loading import load_model
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.eval_sampling import eval_problems, evaluate_by_sampling
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
from pipeline.posttraining.sft.config import SftConfig
from pipeline.posttraining.sft.held_out_loss import assistant_loss
from pipeline.pretraining.engine.distributed import waiting_for_files


def trainer_arguments(context: StageContext[SftConfig]) -> TrlConfig:
    """TRL's arguments for the stage's settings.

    Raises:
        ConfigError: if the ranks cannot share a step's sequences evenly.
    """
    config = context.config
    return TrlConfig(
        **common_arguments(context, config),
        **batch_arguments(context, config.step_size),
        num_train_epochs=config.epochs,
        max_length=config.max_length,
        packing=config.packing,
        assistant_only_loss=True,
        # Conversations of like length share a batch, which wastes little on padding.
        train_sampling_strategy="random" if config.packing else "group_by_length",
    )


def run(context: StageContext[SftConfig]) -> StageResult:
    """Fine-tunes the input `model` on the conversations of the input `data`; every rank calls it.

    The held-out loss is measured before and after training, the reward of sampled completions after it.

    Raises:
        CheckpointError: for a chat template that does not train on the assistant's turns and their ends.
        ConfigError: if the ranks cannot share a step's sequences evenly.
        DiskFullError: if there is no room for a checkpoint.
        Requeue: after a stop signal, the trainer's state saved. It is looked at after every step, and between the
            batches of every measurement.
    """
    config = context.config
    start = context.inputs["model"].checkpoint
    tokenizer = AutoTokenizer.from_pretrained(start)
    check_assistant_mask(tokenizer, str(start))
    callback = StageCallback(context)
    arguments = trainer_arguments(context)
    conversations = _conversations(context, "train", tokenizer)
    held_out = _conversations(context, "validation", tokenizer)
    context.progress.doing("tokenizing the conversations")
    # Rank 0 tokenizes the conversations, the others wait for its files.
    with waiting_for_files():
        trainer = SFTTrainer(
            model=str(start),
            args=arguments,
            train_dataset=Dataset.from_list(conversations),
            processing_class=tokenizer,
            callbacks=[callback],
        )
    limits = config.max_length, config.sequences_per_device

    def measured_loss(checkpoint: Path) -> float:
        with waiting_for_files():
            model = load_model(checkpoint)
        return assistant_loss(model, held_out, *limits, between=stop_check(context))

    context.progress.doing("held-out loss before training")
    before = baseline_metrics(context.state / "before.json", lambda: {"loss": measured_loss(start)})
    context.progress.doing("starting the trainer")
    loss = train(trainer, callback, context.state)
    tokens = tokens_seen(trainer)
    checkpoint = export_model(trainer, context.output)
    steps = trainer.state.global_step
    # The trainer's memory is needed for what follows.
    del trainer
    gc.collect()
    context.progress.doing("measuring what was learned")
    after = measured_loss(checkpoint)
    result = evaluate_by_sampling(
        checkpoint,
        eval_problems(ENVIRONMENT_NAMES, config.probe, config.problems),
        config.probe,
        config.max_completion_length,
        between=stop_check(context),
    )
    return StageResult(
        metrics={
            **({"loss/train": loss} if loss is not None else {}),
            "loss/before": before["loss"],
            "loss/after": after,
            "steps": float(steps),
            **result.metrics("after"),
        },
        measure="held-out loss",
        before=before["loss"],
        after=after,
        tokens=tokens,
        samples=result.samples(),
    )


def _all_texts(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row's messages, and its tools as what they become: a part of the system turn."""
    return [*row["messages"], {"role": "system", "content": row.get("tools") or ""}]


def _conversations(context: StageContext[SftConfig], name: str, tokenizer: Any) -> list[dict[str, Any]]:
    """Rows with `messages`, and all with `tools` if a conversation has some: a table has the columns of its first."""
    rows = read_jsonl(context.inputs["data"].directory / f"{name}.jsonl")
    rows = without_forged_tokens(rows, tokenizer, _all_texts, name)
    keys = ("messages", "tools") if any("tools" in row for row in rows) else ("messages",)
    return [{key: row.get(key) for key in keys} for row in rows]
