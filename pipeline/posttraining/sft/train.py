"""The stage `sft`: TRL's SFTTrainer, with the loss on the assistant's turns."""

from __future__ import annotations

import gc
from pathlib import Path

from transformers import AutoTokenizer
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.sft_trainer import SFTTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.environments import ENVIRONMENT_NAMES
from pipeline.inference.chat_template import check_assistant_mask
from pipeline.inference.loading import load_model
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.eval_sampling import eval_problems, evaluate_by_sampling
from pipeline.posttraining.common.row_order import IN_ORDER, row_order, train_in_order
from pipeline.posttraining.common.trainer_arguments import batch_arguments, common_arguments
from pipeline.posttraining.common.training import (
    baseline_metrics,
    export_model,
    stop_check,
    tokens_seen,
    train,
)
from pipeline.posttraining.data.tokenized import open_tokens
from pipeline.posttraining.sft.config import SftConfig
from pipeline.posttraining.sft.held_out_loss import assistant_loss
from pipeline.posttraining.sft.packing import check_kept_apart, sequences
from pipeline.posttraining.sft.text_replay import ReplayedText
from pipeline.pretraining.data.vocabularies import check_vocabularies
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
        # Sequences come as they are trained on, in columns that TRL's preparation would not know.
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        **IN_ORDER,
    )


def run(context: StageContext[SftConfig]) -> StageResult:
    """Fine-tunes the input `model` on the conversations of the input `data`; every rank calls it.

    Where text is replayed, it is of the corpus of the input `tokens`.

    The held-out loss is measured before and after training, the reward of sampled completions after it.

    Raises:
        CheckpointError: for a chat template that does not train on the assistant's turns and their ends.
        ConfigError: if the ranks cannot share a step's sequences evenly, or the data was tokenized for another model.
        DataError: if no conversation has anything to train on, or to measure with, within the length of a sequence, or
            text is of another tokenizer.
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
    data = context.inputs["data"].directory
    text = None
    if config.text_replay is not None:
        corpus = context.inputs["tokens"].directory / "tokens"
        check_vocabularies(len(tokenizer), start, corpus, None, may_have_spare=True)
        seed = context.derive_seed("text")
        text = ReplayedText(corpus, config.text_replay, config.max_length, config.packing, seed)
    conversations = open_tokens(data, "train", tokenizer, start)
    trained = sequences(conversations, config.max_length, config.packing, context.derive_seed("packing"), text)
    held_out = sequences(open_tokens(data, "validation", tokenizer, start), config.max_length)
    print(f"{len(trained.lengths)} sequences; {trained.truncated} conversations cut, {trained.left_out} left out")
    with waiting_for_files():
        trainer = SFTTrainer(
            model=str(start),
            args=arguments,
            train_dataset=trained.dataset,
            processing_class=tokenizer,
            callbacks=[callback],
        )
    # Packed sequences are of like length as they are.
    lengths = None if config.packing else trained.lengths.tolist()
    per_step = config.sequences_per_step
    order = row_order(len(trained.lengths), per_step, config.epochs, context.derive_seed("order"), lengths)
    train_in_order(trainer, order, per_step)

    def measured_loss(checkpoint: Path) -> float:
        with waiting_for_files():
            model = load_model(checkpoint)
        if config.packing:
            check_kept_apart(model, str(checkpoint))
        return assistant_loss(model, held_out.dataset, config.sequences_per_device, stop_check(context))

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
            "loss/train": loss,
            "loss/before": before["loss"],
            "loss/after": after,
            "steps": float(steps),
            "sequences": float(len(trained.lengths)),
            "conversations/truncated": float(trained.truncated),
            "conversations/left_out": float(trained.left_out),
            **result.metrics("after"),
        },
        measure="held-out loss",
        before=before["loss"],
        after=after,
        tokens=tokens,
        samples=result.samples(),
    )
