"""The stage `sft`: TRL's SFTTrainer, with the loss on the assistant's turns."""

from __future__ import annotations

import gc

from datasets import Dataset
from transformers import AutoTokenizer
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.sft_trainer import SFTTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.environments import ENVIRONMENT_NAMES
from pipeline.inference.chat import Message
from pipeline.inference.loading import load_model
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.eval_sampling import eval_problems, evaluate_by_sampling
from pipeline.posttraining.common.trainer_arguments import batch_arguments, common_arguments
from pipeline.posttraining.common.training import baseline_metrics, export_model, tokens_seen, train
from pipeline.posttraining.data.jsonl import read_jsonl
from pipeline.posttraining.sft.config import SftConfig
from pipeline.posttraining.sft.held_out_loss import assistant_loss


def trainer_arguments(context: StageContext[SftConfig]) -> TrlConfig:
    """TRL's arguments for the stage's settings.

    Raises:
        ConfigError: if the ranks cannot share a step's sequences evenly.
    """
    config = context.config
    return TrlConfig(
        **common_arguments(context, config),
        **batch_arguments(
            context,
            "sequences_per_step",
            config.sequences_per_step,
            "sequences_per_device",
            config.sequences_per_device,
        ),
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
        ConfigError: if the ranks cannot share a step's sequences evenly.
        Requeue: after a stop signal, the trainer's state saved.
    """
    config = context.config
    start = context.inputs["model"].checkpoint
    callback = StageCallback(context)
    trainer = SFTTrainer(
        model=str(start),
        args=trainer_arguments(context),
        train_dataset=Dataset.from_list([{"messages": each} for each in _conversations(context, "train")]),
        processing_class=AutoTokenizer.from_pretrained(start),
        callbacks=[callback],
    )
    held_out = _conversations(context, "validation")
    limits = config.max_length, config.sequences_per_device
    before = baseline_metrics(
        context.state / "before.json", lambda: {"loss": assistant_loss(load_model(start), held_out, *limits)}
    )
    output = train(trainer, callback, context.state)
    tokens = tokens_seen(trainer)
    checkpoint = export_model(trainer, context.output)
    steps = trainer.state.global_step
    # The trainer's memory is needed for what follows.
    del trainer
    gc.collect()
    after = assistant_loss(load_model(checkpoint), held_out, *limits)
    result = evaluate_by_sampling(
        checkpoint,
        eval_problems(ENVIRONMENT_NAMES, config.probe, config.problems),
        config.probe,
        config.max_completion_length,
    )
    return StageResult(
        metrics={
            "loss/train": float(output.training_loss),
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


def _conversations(context: StageContext[SftConfig], name: str) -> list[list[Message]]:
    rows = read_jsonl(context.inputs["data"].directory / f"{name}.jsonl")
    return [row["messages"] for row in rows]
