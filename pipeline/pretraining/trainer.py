"""The training loop: steps of one phase on DeepSpeed's engine."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import deepspeed
import torch
from torch import Tensor

from pipeline.core.context import StageContext
from pipeline.core.errors import CheckpointError, Requeue
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.data.stream import IGNORED, Batch, TokenStream
from pipeline.pretraining.engine import logits_check as logits
from pipeline.pretraining.engine import optimizer_state as moments
from pipeline.pretraining.engine.distributed import any_rank, device, sum_over_ranks
from pipeline.pretraining.engine.engine import update_norm
from pipeline.pretraining.engine.step_checkpoints import StepCheckpoints
from pipeline.pretraining.engine.step_guard import GuardedAdamW
from pipeline.pretraining.model.model import set_learning_rate
from pipeline.pretraining.schedules import Schedule
from pipeline.pretraining.throughput import StepTimes, peak_of_rank
from pipeline.pretraining.validation import HeldOutLoss

LOG = logging.getLogger(__name__)


@dataclass
class Trainer:
    """One rank's part of training a phase."""

    context: StageContext[PhaseConfig]
    engine: deepspeed.DeepSpeedEngine
    stream: TokenStream
    schedule: Schedule
    checkpoints: StepCheckpoints
    held_out: Callable[[], HeldOutLoss]
    """Measures the model. A collective."""
    tokens_before: int
    times: StepTimes = field(default_factory=StepTimes)
    domain_losses: dict[str, float] = field(default_factory=dict)
    """Of the last step that was measured, in nats per token of each domain that it had."""

    def train(self) -> None:
        """Trains from the newest complete checkpoint, or from the beginning, to the end of the phase.

        Raises:
            DataError: if too many steps in a row have to be skipped.
            CheckpointError: if the checkpoint is of other data, or the engine is not what was saved.
            Requeue: after a stop signal, with everything saved.
        """
        phase = self.context.config
        first = self._resume()
        self.context.progress.start(phase.steps, unit="steps", done=first)
        for step, batches in self._batches(first, phase.steps):
            logs = (step + 1) % phase.log_every_steps == 0 or step + 1 == phase.steps
            loss = self._step(step, batches, logs)
            self.times.done()
            tokens = self.tokens_before + (step + 1) * phase.tokens_per_step
            self.context.progress.note(loss=loss)
            self.context.progress.advance()
            if logs:
                self.context.tracker.log(self._metrics(step, loss), tokens=tokens)
            every = phase.validation.every_steps
            if every is not None and (step + 1) % every == 0 and step + 1 < phase.steps:
                self.context.tracker.log(self.held_out().metrics("held_out"), tokens=tokens)
            stop = any_rank(self.context.stop_requested())
            if stop or ((step + 1) % phase.save_every_steps == 0 and step + 1 < phase.steps):
                self._save(step + 1, tokens)
            self.checkpoints.finalize_if_copied()
            if stop:
                self.checkpoints.finalize()
                raise Requeue(f"stopped by a signal, saved at step {step + 1} of {phase.steps}")
        self.checkpoints.finalize()

    @property
    def optimizer(self) -> GuardedAdamW:
        """The optimizer that steps."""
        return moments.base_optimizer(self.engine)

    def throughput(self, last: int | None = None) -> dict[str, float]:
        """Rates over the last steps of this attempt, null for all of them."""
        return self.times.metrics(self.context.config, self.context.world_size, peak_of_rank(self.context.config), last)

    def _metrics(self, step: int, loss: float) -> dict[str, float]:
        return {
            "train/loss": loss,
            **{f"train/loss/{domain}": value for domain, value in self.domain_losses.items()},
            "train/learning_rate": self.schedule.of_step(step),
            "train/gradient_norm": self.optimizer.guard.norm,
            "train/update_norm": update_norm(self.engine),
            "train/skipped_steps": float(len(self.optimizer.guard.skipped)),
            **self.throughput(self.context.config.log_every_steps),
        }

    def _save(self, step: int, tokens: int) -> None:
        state = {
            "tokens": tokens,
            "samples": self.stream.mixture.counts(step * self.context.config.sequences_per_step),
            "shards": self.stream.fingerprints,
            "guard": self.optimizer.guard.as_json(),
            "logits": logits.probe(self.engine).tolist(),
        }
        self.checkpoints.save(self.engine, step, state)

    def _resume(self) -> int:
        state: dict[str, Any] | None = self.checkpoints.resume(self.engine)
        if state is None:
            return 0
        step, where = int(state["step"]), f"{self.context.state}/steps/{state['step']}"
        if state["shards"] != self.stream.fingerprints:
            changed = sorted(k for k, v in self.stream.fingerprints.items() if state["shards"].get(k) != v)
            raise CheckpointError(f"{where}: tokens of {', '.join(changed)} changed since; delete it to begin again")
        counts = self.stream.mixture.counts(step * self.context.config.sequences_per_step)
        if state["samples"] != counts:
            raise CheckpointError(f"{where}: saved after {state['samples']}, the mixture now gives {counts}")
        self.optimizer.guard.restore(state["guard"])
        logits.check(self.engine, torch.tensor(state["logits"]), where)
        return step

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
        """Sample numbers do not depend on the number of ranks: round by round, each takes its share.

        Ranks that divide sequences take slices of the same share.
        """
        phase, part = self.context.config, self.context.rank % self.context.config.sequence_parallel
        return [
            self.stream.read(start, phase.sequences_per_rank).part(part, phase.sequence_parallel)
            for start in self._starts(step)
        ]

    def _starts(self, step: int) -> range:
        """The first sample of each micro-batch of this rank."""
        phase = self.context.config
        group, groups = (each // phase.sequence_parallel for each in (self.context.rank, self.context.world_size))
        begin = step * phase.sequences_per_step
        size = phase.sequences_per_rank
        return range(begin + group * size, begin + phase.sequences_per_step, groups * size)

    def _step(self, step: int, batches: list[Batch], measures: bool) -> float:
        """One optimizer step, or none if it would do harm; its loss in nats per token, over all ranks."""
        optimizer = self.optimizer
        optimizer.measures, optimizer.squared_update = measures, 0.0
        set_learning_rate(moments.optimizer_of(self.engine).param_groups, self.schedule.of_step(step))
        valid = sum_over_ranks(_tensor(sum(int((batch.labels != IGNORED).sum()) for batch in batches)))
        # DeepSpeed divides by the number of micro-batches and of ranks; the loss is the sum over the step's
        # tokens divided by their number, never a mean of means.
        scale = len(batches) * self.context.world_size / float(valid)
        total = _tensor(0.0)
        domains = torch.zeros(2, len(self.stream.mixture.sources), dtype=torch.float64, device=device())
        for number, (start, batch) in enumerate(zip(self._starts(step), batches, strict=True), start=1):
            loss, entropies = self.engine(*_to_device(batch))
            self.engine.backward(loss * scale)
            total += entropies.sum()
            if measures:
                domains += self._by_domain(start, batch, entropies)
            if number == len(batches):
                optimizer.guard.begin(float(sum_over_ranks(total)) / float(valid))
            self.engine.step()
        if measures:
            losses, counts = sum_over_ranks(domains).tolist()
            found = zip(self.stream.mixture.sources, losses, counts, strict=True)
            self.domain_losses = {domain: loss / count for domain, loss, count in found if count}
        if (reason := optimizer.guard.end(step)) is not None and self.context.rank == 0:
            LOG.warning("step %d is skipped: %s", step + 1, reason)
        return optimizer.guard.loss

    def _by_domain(self, start: int, batch: Batch, entropies: Tensor) -> Tensor:
        """Summed loss of each domain's sequences in a micro-batch, and their labels: shape (2, domains), float64."""
        sources = torch.from_numpy(self.stream.mixture.assign(start, len(batch.labels))[0])
        labels = torch.from_numpy((batch.labels != IGNORED).sum(axis=1))
        sums = torch.stack([entropies.detach().sum(dim=1), labels.to(device())]).double()
        domains = sums.new_zeros(2, len(self.stream.mixture.sources))
        return domains.index_add_(1, sources.to(device()), sums)


def _tensor(value: float) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64, device=device())


def _to_device(batch: Batch) -> tuple[Tensor, ...]:
    arrays = (batch.tokens, batch.positions, batch.labels)
    return tuple(torch.from_numpy(each).to(device(), non_blocking=True) for each in arrays)
