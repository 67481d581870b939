"""The training loop: steps of one phase on DeepSpeed's engine."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import deepspeed
import torch
from torch import Tensor

from pipeline.context import StageContext
from pipeline.errors import DataError, Requeue
from pipeline.pretraining import checkpoints, moments
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.engine import any_rank, device, sum_over_ranks
from pipeline.pretraining.model import set_learning_rate
from pipeline.pretraining.schedules import Schedule
from pipeline.pretraining.stream import IGNORED, Batch, TokenStream
from pipeline.pretraining.throughput import StepTimes, peak_of_rank


@dataclass
class Trainer:
    """One rank's part of training a phase."""

    context: StageContext[PhaseConfig]
    engine: deepspeed.DeepSpeedEngine
    stream: TokenStream
    schedule: Schedule
    tokens_before: int
    times: StepTimes = field(default_factory=StepTimes)

    @property
    def steps_directory(self) -> Path:
        """Where resumable checkpoints are kept."""
        return self.context.state / "steps"

    def train(self) -> None:
        """Trains from the newest complete checkpoint, or from the beginning, to the end of the phase.

        Raises:
            DataError: if the loss stops being finite.
            Requeue: after a stop signal, with everything saved.
        """
        phase = self.context.config
        first = self._resume()
        self.context.progress.start(phase.steps, unit="steps", done=first)
        for step, batches in self._batches(first, phase.steps):
            loss, norm = self._step(step, batches)
            self.times.done()
            tokens = self.tokens_before + (step + 1) * phase.tokens_per_step
            self.context.progress.note(loss=loss)
            self.context.progress.advance()
            if (step + 1) % phase.log_every_steps == 0 or step + 1 == phase.steps:
                rate = self.schedule.of_step(step)
                metrics = {"train/loss": loss, "train/learning_rate": rate, "train/gradient_norm": norm}
                metrics |= self.throughput(phase.log_every_steps)
                self.context.tracker.log(metrics, tokens=tokens)
            stop = any_rank(self.context.stop_requested())
            if stop or ((step + 1) % phase.save_every_steps == 0 and step + 1 < phase.steps):
                checkpoints.save_step(self.engine, self.steps_directory, step + 1, {"tokens": tokens})
            if stop:
                raise Requeue(f"stopped by a signal, saved at step {step + 1} of {phase.steps}")

    def throughput(self, last: int | None = None) -> dict[str, float]:
        """Rates over the last steps of this attempt, null for all of them."""
        return self.times.metrics(self.context.config, self.context.world_size, peak_of_rank(self.context.config), last)

    def _resume(self) -> int:
        newest = checkpoints.newest_step(self.steps_directory)
        return int(checkpoints.load_step(self.engine, newest)["step"]) if newest else 0

    def _batches(self, first: int, last: int) -> Iterator[tuple[int, list[Batch]]]:
        """Each step's micro-batches of this rank, read one step ahead by a thread."""
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, first) if first < last else None
            for step in range(first, last):
                assert ahead is not None
                self.times.begin()
                batches = ahead.result()
                self.times.data_ready()
                ahead = reader.submit(self._read, step + 1) if step + 1 < last else None
                yield step, batches

    def _read(self, step: int) -> list[Batch]:
        """Sample numbers do not depend on the number of ranks: round by round, each rank takes its share."""
        phase, context = self.context.config, self.context
        rounds = phase.sequences_per_step // (phase.sequences_per_rank * context.world_size)
        begin = step * phase.sequences_per_step
        return [
            self.stream.read(
                begin + (number * context.world_size + context.rank) * phase.sequences_per_rank,
                phase.sequences_per_rank,
            )
            for number in range(rounds)
        ]

    def _step(self, step: int, batches: list[Batch]) -> tuple[float, float]:
        """One optimizer step; returns its loss in nats per token, over all ranks, and the gradient norm."""
        set_learning_rate(moments.optimizer_of(self.engine).param_groups, self.schedule.of_step(step))
        valid = sum_over_ranks(_tensor(sum(int((batch.labels != IGNORED).sum()) for batch in batches)))
        # DeepSpeed divides by the number of micro-batches and of ranks; the loss is the sum over the step's
        # tokens divided by their number, never a mean of means.
        scale = len(batches) * self.context.world_size / float(valid)
        total = _tensor(0.0)
        for batch in batches:
            loss = self.engine(*_to_device(batch)).sum()
            self.engine.backward(loss * scale)
            self.engine.step()
            total += loss.detach()
        mean = float(sum_over_ranks(total)) / float(valid)
        if not math.isfinite(mean):
            raise DataError(
                f"the loss is {mean} at step {step + 1}; lower stages.{self.context.stage}.config.learning_rate"
            )
        norm = self.engine.get_global_grad_norm()
        return mean, float(norm) if norm is not None else math.nan


def _tensor(value: float) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64, device=device())


def _to_device(batch: Batch) -> tuple[Tensor, ...]:
    arrays = (batch.tokens, batch.positions, batch.labels)
    return tuple(torch.from_numpy(each).to(device(), non_blocking=True) for each in arrays)
