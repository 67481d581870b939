"""The training loop: the steps of one phase on DeepSpeed's engine."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import deepspeed
import torch
from torch import Tensor

from pipeline.core.artifact import remedy
from pipeline.core.context import StageContext
from pipeline.core.errors import CheckpointError, Requeue
from pipeline.core.saving import SaveTimer
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, TokenStream
from pipeline.pretraining.engine.distributed import any_rank_each, device, sum_over_ranks
from pipeline.pretraining.engine.engine import update_norm
from pipeline.pretraining.engine.learning_rate import set_learning_rate
from pipeline.pretraining.engine.logits_check import check_logits, reference_logits
from pipeline.pretraining.engine.optimizer_state import base_optimizer, wrapped_optimizer
from pipeline.pretraining.engine.step_checkpoints import StepCheckpoints
from pipeline.pretraining.engine.step_guard import GuardedAdamW
from pipeline.pretraining.schedules import Schedule
from pipeline.pretraining.throughput import StepTimes, rank_peak_flops
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
    """Measures the model; a collective."""
    tokens_before: int
    """Tokens that the phases before trained on."""
    times: StepTimes = field(default_factory=StepTimes)
    domain_losses: dict[str, float] = field(default_factory=dict)
    """Mean loss of the last logged step in nats per token, by domain, of those that the step had tokens of."""

    def train(self) -> None:
        """Trains from the newest complete step checkpoint, or from the start, to the end of the phase; a collective.

        All ranks run the same steps: whether to log, measure or save depends on the step alone, and a stop signal to
        one rank stops all of them at the same step.

        Raises:
            DataError: if too many steps in a row have to be skipped.
            CheckpointError: if the checkpoint is of other data, or the engine is not what was saved.
            DiskFullError: if there is no room for a checkpoint.
            Requeue: after a stop signal, with everything saved.
        """
        phase = self.context.config
        with self.context.no_step():
            first = self._resume()
        timer = SaveTimer(phase)
        self.context.progress.start(phase.steps, counted="steps", done=first)
        for step, micro_batches in self._prefetched_steps(first, phase.steps):
            is_logged = (step + 1) % phase.log_every_steps == 0 or step + 1 == phase.steps
            loss = self._train_step(step, micro_batches, is_logged)
            self.times.end_step()
            tokens = self.tokens_before + (step + 1) * phase.tokens_per_step
            self.context.progress.note(loss=loss)
            self.context.progress.advance()
            if is_logged:
                self.context.tracker.log(self._metrics(step, loss), tokens=tokens, step=step + 1)
            every = phase.validation.every_steps
            if every is not None and (step + 1) % every == 0 and step + 1 < phase.steps:
                with self.saving_if_stopped(step + 1):
                    self.context.tracker.log(self.held_out().metrics("held_out"), tokens=tokens, step=step + 1)
            # Clocks differ: rank 0 decides for all.
            is_due = self.context.rank == 0 and step + 1 < phase.steps and timer.is_due(step + 1)
            stop, is_due = any_rank_each(self.context.stop_requested(), is_due)
            if stop or is_due:
                self._save(step + 1)
                timer.saved()
            self.checkpoints.finalize_if_copied()
            if stop:
                self.checkpoints.finalize()
                raise Requeue(f"stopped by a signal, saved at step {step + 1} of {phase.steps}")
        self.checkpoints.finalize()

    @contextmanager
    def saving_if_stopped(self, step: int) -> Iterator[None]:
        """Around what a stop signal ends by a Requeue between steps: the engine's `step` steps are saved first.

        A collective if the signal came, as all of it is.
        """
        try:
            yield
        except Requeue as stopped:
            self._save(step)
            self.checkpoints.finalize()
            raise Requeue(f"{stopped}, saved at step {step} of {self.context.config.steps}") from None

    @property
    def optimizer(self) -> GuardedAdamW:
        """The AdamW that steps, inside ZeRO's wrapper if there is one."""
        return base_optimizer(self.engine)

    def throughput(self, last: int | None = None) -> dict[str, float]:
        """Metrics of speed over the `last` steps of this attempt, None for all of them; see `StepTimes.metrics`."""
        phase = self.context.config
        return self.times.metrics(phase, self.context.world_size, rank_peak_flops(phase), last)

    def _metrics(self, step: int, loss: float) -> dict[str, float]:
        """What is logged of a step, which must have been trained as a logged one; a collective."""
        return {
            "train/loss": loss,
            **{f"train/loss/{domain}": value for domain, value in self.domain_losses.items()},
            "train/learning_rate": self.schedule.rate_of_step(step),
            "train/gradient_norm": self.optimizer.guard.gradient_norm,
            "train/update_norm": update_norm(self.engine),
            "train/skipped_steps": float(len(self.optimizer.guard.skipped_steps)),
            **self.throughput(self.context.config.log_every_steps),
        }

    def _save(self, step: int) -> None:
        """Saves a checkpoint after `step` steps; a collective."""
        facts = {
            "tokens": self.tokens_before + step * self.context.config.tokens_per_step,
            "samples": self.stream.mixture.counts(step * self.context.config.sequences_per_step),
            "shards": self.stream.fingerprints,
            "guard": self.optimizer.guard.state_dict(),
            "logits": reference_logits(self.engine).tolist(),
        }
        with self.context.saving():
            self.checkpoints.save(self.engine, step, facts)

    def _resume(self) -> int:
        """Restores the newest complete checkpoint, if there is one; the steps done by then. A collective."""
        saved: dict[str, Any] | None = self.checkpoints.resume(self.engine)
        if saved is None:
            return 0
        step, where = int(saved["step"]), f"{self.context.state}/steps/{saved['step']}"
        if saved["shards"] != self.stream.fingerprints:
            changed = sorted(k for k, v in self.stream.fingerprints.items() if saved["shards"].get(k) != v)
            raise CheckpointError(
                f"{where}: tokens of {', '.join(changed)} changed since; {remedy(self.context.directory)}"
            )
        counts = self.stream.mixture.counts(step * self.context.config.sequences_per_step)
        if saved["samples"] != counts:
            raise CheckpointError(f"{where}: saved after {saved['samples']}, the mixture now gives {counts}")
        self.optimizer.guard.load_state_dict(saved["guard"])
        check_logits(self.engine, torch.tensor(saved["logits"]), where)
        return step

    def _prefetched_steps(self, first: int, last: int) -> Iterator[tuple[int, list[Batch]]]:
        """Steps first..last−1 with this rank's micro-batches, which a thread reads one step ahead."""
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read_micro_batches, first) if first < last else None
            for step in range(first, last):
                assert ahead is not None
                self.times.start_step()
                micro_batches = ahead.result()
                self.times.data_ready()
                ahead = reader.submit(self._read_micro_batches, step + 1) if step + 1 < last else None
                yield step, micro_batches

    def _read_micro_batches(self, step: int) -> list[Batch]:
        """This rank's micro-batches of a step. Ranks that divide sequences take slices of the same micro-batches."""
        phase = self.context.config
        rank_in_group = self.context.rank % phase.sequence_parallel
        return [
            self.stream.read(start, phase.sequences_per_rank).slice_of_sequences(rank_in_group, phase.sequence_parallel)
            for start in self._micro_batch_starts(step)
        ]

    def _micro_batch_starts(self, step: int) -> range:
        """The first sample of each of this rank's micro-batches.

        A step's samples do not depend on the number of ranks: round by round, each group of ranks takes the next
        `sequences_per_rank` of them.
        """
        phase = self.context.config
        group, groups = (each // phase.sequence_parallel for each in (self.context.rank, self.context.world_size))
        begin = step * phase.sequences_per_step
        size = phase.sequences_per_rank
        return range(begin + group * size, begin + phase.sequences_per_step, groups * size)

    def _train_step(self, step: int, micro_batches: list[Batch], is_logged: bool) -> float:
        """Makes one optimizer step, or none if the guard finds it harmful; a collective.

        The loss that is differentiated is the sum over all labels of the step, over ranks and micro-batches, divided by
        their number: never a mean of means, so that neither the number of ranks nor the cut into micro-batches shows in
        the gradients. Their number is therefore summed over ranks before the first backward pass.

        Args:
            step: of the phase, from 0.
            micro_batches: of this rank.
            is_logged: whether `domain_losses` and the update's norm are measured too.

        Returns:
            The loss in nats per token, over all ranks, be the step made or skipped.
        """
        optimizer = self.optimizer
        optimizer.measures_update, optimizer.squared_update = is_logged, 0.0
        set_learning_rate(wrapped_optimizer(self.engine).param_groups, self.schedule.rate_of_step(step))
        labels = sum_over_ranks(_scalar(sum(int((batch.labels != IGNORE_INDEX).sum()) for batch in micro_batches)))
        # DeepSpeed divides by the number of micro-batches and of ranks.
        scale = len(micro_batches) * self.context.world_size / float(labels)
        total = _scalar(0.0)
        domain_sums = torch.zeros(2, len(self.stream.mixture.domains), dtype=torch.float64, device=device())
        for number, (start, batch) in enumerate(zip(self._micro_batch_starts(step), micro_batches, strict=True), 1):
            loss, token_losses = self.engine(*_to_device(batch))
            self.engine.backward(loss * scale)
            total += token_losses.sum()
            if is_logged:
                domain_sums += self._domain_sums(start, batch, token_losses)
            if number == len(micro_batches):
                optimizer.guard.begin(float(sum_over_ranks(total)) / float(labels))
            self.engine.step()
        if is_logged:
            losses, counts = sum_over_ranks(domain_sums).tolist()
            found = zip(self.stream.mixture.domains, losses, counts, strict=True)
            self.domain_losses = {domain: loss / count for domain, loss, count in found if count}
        if (reason := optimizer.guard.end(step)) is not None and self.context.rank == 0:
            LOG.warning("step %d is skipped: %s", step + 1, reason)
        return optimizer.guard.loss

    def _domain_sums(self, start: int, batch: Batch, token_losses: Tensor) -> Tensor:
        """Of each domain the summed loss of its sequences in a micro-batch, and their number of labels.

        Args:
            start: sample number of the first row.
            batch: this rank's, shape (sequences, context).
            token_losses: of the same shape, in nats.

        Returns:
            float64, shape (2, domains).
        """
        domains = torch.from_numpy(self.stream.mixture.assign(start, len(batch.labels))[0])
        labels = torch.from_numpy((batch.labels != IGNORE_INDEX).sum(axis=1))
        rows = torch.stack([token_losses.detach().sum(dim=1), labels.to(device())]).double()
        sums = rows.new_zeros(2, len(self.stream.mixture.domains))
        return sums.index_add_(1, domains.to(device()), rows)


def _scalar(value: float) -> Tensor:
    """A number as a float64 tensor of no dimension on this rank's device."""
    return torch.tensor(float(value), dtype=torch.float64, device=device())


def _to_device(batch: Batch) -> tuple[Tensor, ...]:
    """Tokens, positions and labels as int64 tensors on this rank's device."""
    arrays = (batch.tokens, batch.positions, batch.labels)
    return tuple(torch.from_numpy(each).to(device(), non_blocking=True) for each in arrays)
