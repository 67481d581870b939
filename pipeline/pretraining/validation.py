"""Held-out loss, per domain, and the loss far into long documents."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import deepspeed
import torch

from pipeline.pretraining.data.stream import IGNORED, Batch, domains_with_validation, validation_batch
from pipeline.pretraining.engine.distributed import device, sum_over_ranks


@dataclass(frozen=True)
class HeldOutLoss:
    """Mean cross-entropy in nats per token."""

    domains: dict[str, float]
    near: float
    """Over positions below the border of `measure`, all domains."""
    far: float | None
    """Over positions from that border on; None if no document reaches it."""

    @property
    def mean(self) -> float:
        """The mean of the domains' losses."""
        return sum(self.domains.values()) / len(self.domains)

    def metrics(self, prefix: str) -> dict[str, float]:
        """Each domain's loss, `near`, `far` if there is any, and `mean`, below a prefix."""
        far = {} if self.far is None else {"far": self.far}
        values = {**self.domains, "near": self.near, **far, "mean": self.mean}
        return {f"{prefix}/{name}": value for name, value in values.items()}


def measure(
    engine: deepspeed.DeepSpeedEngine,
    tokens: Path,
    context: int,
    sequences: int,
    micro_batch: int,
    border: int,
    sequence_parallel: int = 1,
) -> HeldOutLoss:
    """Held-out loss of every domain that has held-out tokens. A collective.

    Args:
        engine: whose model is measured.
        tokens: the `tokens/` folder.
        context: tokens in a sequence.
        sequences: of each domain, at most.
        micro_batch: sequences in a forward pass of one rank.
        border: position inside a document that separates `near` from `far`.
        sequence_parallel: ranks that divide each sequence.
    """
    group, part = divmod(engine.global_rank, sequence_parallel)
    groups = engine.world_size // sequence_parallel
    domains: dict[str, float] = {}
    split = torch.zeros(4, dtype=torch.float64)
    engine.eval()
    for domain in domains_with_validation(tokens):
        batch = validation_batch(tokens, domain, context, sequences)
        if batch is None:
            continue
        sums = torch.zeros(4, dtype=torch.float64)
        for rows in _parts(batch, micro_batch, group, groups):
            sums += _sums(engine, rows.part(part, sequence_parallel), border)
        sums = sum_over_ranks(sums.to(device())).cpu()
        split += sums
        domains[domain] = float((sums[0] + sums[2]) / (sums[1] + sums[3]))
    engine.train()
    far = float(split[2] / split[3]) if split[3] > 0 else None
    return HeldOutLoss(domains, near=float(split[0] / split[1]), far=far)


def _parts(batch: Batch, micro_batch: int, rank: int, ranks: int) -> Iterator[Batch]:
    """This rank's micro-batches, the same number on every rank: the last ones may repeat rows without labels."""
    rows = len(batch.tokens)
    rounds = -(-rows // (micro_batch * ranks))
    for number in range(rounds):
        wanted = [(number * ranks + rank) * micro_batch + row for row in range(micro_batch)]
        picked = [min(row, rows - 1) for row in wanted]
        labels = batch.labels[picked].copy()
        labels[[row >= rows for row in wanted]] = IGNORED
        yield Batch(batch.tokens[picked], batch.positions[picked], labels)


def _sums(engine: deepspeed.DeepSpeedEngine, batch: Batch, border: int) -> torch.Tensor:
    """Summed loss and count of near positions, then of far ones, float64."""
    with torch.no_grad():
        arrays = (torch.from_numpy(each).to(device()) for each in (batch.tokens, batch.positions, batch.labels))
        tokens, positions, labels = arrays
        losses = engine(tokens, positions, labels)[1].double().cpu()
    valid, far = (labels != IGNORED).cpu(), (positions >= border).cpu()
    near, far = valid & ~far, valid & far
    return torch.stack([losses[near].sum(), near.sum(), losses[far].sum(), far.sum()])
