"""Trainers for tests, with nothing replaced: a small model, counting documents, any number of gloo ranks."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.data.stream import TokenStream
from pipeline.pretraining.engine.engine import join_process_group, prepare_process_group, start_engine
from pipeline.pretraining.engine.step_checkpoints import StepCheckpoints
from pipeline.pretraining.model.model import build_model, build_training_model, granite_config, initialize
from pipeline.pretraining.schedules import schedule_of
from pipeline.pretraining.trainer import Trainer
from pipeline.pretraining.validation import HeldOutLoss, measure_held_out_loss
from tests.runs import VOCABULARY
from tests.settings import model_shape

SHAPE = model_shape(
    vocab_size=VOCABULARY,
    hidden_size=32,
    layers=2,
    attention_heads=4,
    key_value_heads=2,
    mlp_hidden_size=48,
    base_width=16,
)
CONTEXT, SEQUENCES = 16, 8


def phase(stage: int, steps: int, **changes: Any) -> PhaseConfig:
    """A phase of `steps` steps of eight sequences, on a ZeRO stage."""
    settings = {
        "model": dataclasses.asdict(SHAPE),
        "tokens": steps * SEQUENCES * CONTEXT,
        "context": CONTEXT,
        "rope_theta": 10_000.0,
        "sequences_per_step": SEQUENCES,
        "sequences_per_rank": 2,
        "mixture": {"code": 2, "math": 1},
        "max_epochs": 1000,
        "learning_rate": {"law": "constant", "start": 0.01},
        "precision": "fp32",
        "attention": "sdpa",
        "log_every_steps": 1,
        "deepspeed": {"zero_optimization": {"stage": stage}},
        **changes,
    }
    return build(PhaseConfig, settings, "config")


def trainer(
    settings: PhaseConfig, tokens: Path, directory: Path, tokens_before: int = 0, rate_before: float | None = None
) -> Trainer:
    """This rank's trainer of a phase, with model, engine and stream; a collective.

    Args:
        settings: of the phase.
        tokens: the `tokens/` folder.
        directory: the stage's folder, the same on all ranks.
        tokens_before: tokens of the phases before.
        rate_before: where their learning rate ended.
    """
    context = StageContext.for_test("phase", settings, {}, directory)
    context.rank, context.local_rank = int(os.environ.get("RANK", 0)), int(os.environ.get("LOCAL_RANK", 0))
    context.world_size = int(os.environ.get("WORLD_SIZE", 1))
    config = granite_config(settings.shape, settings.context, 10_000.0)
    config._attn_implementation = settings.attention
    model = build_model(config)
    initialize(model, settings.shape, seed=1)
    prepare_process_group()
    join_process_group()
    resumable = StepCheckpoints(directory / "state" / "steps", settings, context.local_rank)
    engine = start_engine(build_training_model(model, settings), settings, context.world_size, resumable.universal)
    stream = TokenStream(tokens, settings.mixture, settings.context, seed=3)

    def held_out() -> HeldOutLoss:
        rows, parts = settings.sequences_per_rank, settings.sequence_parallel
        return measure_held_out_loss(engine, tokens, settings.context, 4, rows, settings.context // 2, parts)

    schedule = schedule_of(settings, tokens_before, rate_before)
    return Trainer(context, engine, stream, schedule, resumable, held_out, tokens_before)


class RecordingTracker:
    """A tracker that keeps what a trainer logs: `losses` by steps done, and every metric."""

    def __init__(self, trained: Trainer) -> None:
        self.metrics: list[dict[str, float]] = []
        self.losses: dict[int, float] = {}
        self._step, self._before = trained.schedule.batch_tokens, trained.tokens_before
        trained.context.tracker = self  # type: ignore[assignment]

    def log(self, metrics: dict[str, float], tokens: int, step: int | None = None) -> None:
        """Keeps the metrics of one call, which come after `tokens` tokens of all phases."""
        self.metrics.append(metrics)
        if "train/loss" in metrics:
            self.losses[(tokens - self._before) // self._step] = metrics["train/loss"]
