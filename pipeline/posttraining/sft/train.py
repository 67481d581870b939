"""The stage `sft`: TRL's SFTTrainer on the assistant's turns."""

from __future__ import annotations

import gc
from pathlib import Path

from datasets import Dataset
from transformers import AutoTokenizer
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.sft_trainer import SFTTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.environments import ENVIRONMENT_NAMES
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.chat import Messages, assistant_loss, load_model
from pipeline.posttraining.common.checkpoints import export_model, last_complete_checkpoint, measured_once, tokens_seen
from pipeline.posttraining.common.sampling import eval_problems, measure
from pipeline.posttraining.common.trainer_arguments import accumulation_steps, common_arguments
from pipeline.posttraining.data.sft_data import read_rows
from pipeline.posttraining.sft.config import SftConfig


def trainer_arguments(context: StageContext[SftConfig]) -> TrlConfig:
    """TRL's arguments for the stage's settings."""
    config = context.config
    return TrlConfig(
        **common_arguments(context, config),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.sequences_per_device,
        gradient_accumulation_steps=accumulation_steps(
            "sequences", config.sequences_per_step, config.sequences_per_device, context.world_size
        ),
        max_length=config.max_length,
        packing=config.packing,
        assistant_only_loss=True,
        # Neighbours of like length waste little on padding.
        train_sampling_strategy="random" if config.packing else "group_by_length",
    )


def _conversations(context: StageContext[SftConfig], name: str) -> list[Messages]:
    rows = read_rows(context.inputs["data"].directory / f"{name}.jsonl")
    return [row["messages"] for row in rows]


def held_out_loss(checkpoint: Path, conversations: list[Messages], config: SftConfig) -> dict[str, float]:
    """Loss of a checkpoint folder's model on the assistant's turns, in nats per token."""
    model, tokenizer = load_model(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    loss = assistant_loss(model, tokenizer, conversations, config.max_length, config.sequences_per_device)
    return {"loss": loss}


def run(context: StageContext[SftConfig]) -> StageResult:
    """Fine-tune the input model on the conversations and measure it before and after."""
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
    resumed = last_complete_checkpoint(context.state)
    held_out = _conversations(context, "validation")
    before = measured_once(context.state / "before.json", lambda: held_out_loss(start, held_out, config))
    outcome = trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    callback.raise_if_stopped()
    tokens = tokens_seen(trainer)
    checkpoint = export_model(trainer, context.output)
    steps = trainer.state.global_step
    del trainer
    gc.collect()
    after = held_out_loss(checkpoint, held_out, config)["loss"]
    posed = eval_problems(ENVIRONMENT_NAMES, config.probe, config.problems)
    measured = measure(checkpoint, posed, config.probe, config.max_completion_length)
    shown = measured.replies[:: len(measured.replies) // 3][:3]
    return StageResult(
        metrics={
            "loss/train": float(outcome.training_loss),
            "loss/before": before["loss"],
            "loss/after": after,
            "steps": float(steps),
            **measured.metrics("after"),
        },
        measure="held-out loss",
        before=before["loss"],
        after=after,
        tokens=tokens,
        samples=[{"prompt": reply.problem.prompt, "answer": reply.text} for reply in shown],
    )
