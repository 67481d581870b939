"""Held-out loss during pretraining: per domain, and at positions far into long documents."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import deepspeed
import torch
from torch import Tensor

from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, domains_with_validation, validation_batch
from pipeline.pretraining.engine.distributed import device, sum_over_ranks


@dataclass(frozen=True)
class HeldOutLoss:
    """Mean cross-entropy in nats per token."""

    domains: dict[str, float]
    """Of each domain, over all its positions with a label."""
    near: float
    """Over positions inside documents below `far_from` of `measure_held_out_loss`, all domains."""
    far: float | None
    """Over positions from there on; None if no document reaches it."""

    @property
    def mean(self) -> float:
        """The unweighted mean of the domains' losses."""
        return sum(self.domains.values()) / len(self.domains)

    def metrics(self, prefix: str) -> dict[str, float]:
        """Metrics `<prefix>/<domain>`, `<prefix>/near`, `<prefix>/mean`, and `<prefix>/far` where it was measured."""
        far = {} if self.far is None else {"far": self.far}
        values = {**self.domains, "near": self.near, **far, "mean": self.mean}
        return {f"{prefix}/{name}": value for name, value in values.items()}


def measure_held_out_loss(
    engine: deepspeed.DeepSpeedEngine,
    tokens: Path,
    context: int,
    sequences: int,
    micro_batch: int,
    far_from: int,
    sequence_parallel: int = 1,
    between: Callable[[], None] = lambda: None,
) -> HeldOutLoss:
    """Held-out loss of every domain that has held-out tokens; a collective, and every rank gets the same.

    Args:
        engine: whose model is measured.
        tokens: the `tokens/` folder.
        context: tokens in a sequence.
        sequences: of each domain, at most; a domain whose held-out tokens fill none is left out.
        micro_batch: sequences in a forward pass of one rank.
        far_from: position inside a document from which a token counts as far.
        sequence_parallel: ranks that divide each sequence.
        between: called after each forward pass, by all ranks alike; it may raise to end the measurement.
    """
    group, rank_in_group = divmod(engine.global_rank, sequence_parallel)
    groups = engine.world_size // sequence_parallel
    domains: dict[str, float] = {}
    all_domains = torch.zeros(4, dtype=torch.float64)
    engine.eval()
    try:
        for domain in domains_with_validation(tokens):
            batch = validation_batch(tokens, domain, context, sequences)
            if batch is None:
                continue
            sums = torch.zeros(4, dtype=torch.float64)
            for rows in _micro_batches(batch, micro_batch, group, groups):
                sums += _loss_sums(engine, rows.slice_of_sequences(rank_in_group, sequence_parallel), far_from)
                between()
            sums = sum_over_ranks(sums.to(device())).cpu()
            all_domains += sums
            domains[domain] = float((sums[0] + sums[2]) / (sums[1] + sums[3]))
    finally:
        engine.train()
    far = float(all_domains[2] / all_domains[3]) if all_domains[3] > 0 else None
    return HeldOutLoss(domains, near=float(all_domains[0] / all_domains[1]), far=far)


def _micro_batches(batch: Batch, micro_batch: int, group: int, groups: int) -> Iterator[Batch]:
    """The micro-batches of one of `groups` groups of ranks; each group gets the same number, since forwards are
    collectives. Where rows do not suffice, the last one is repeated without labels."""
    rows = len(batch.tokens)
    rounds = -(-rows // (micro_batch * groups))
    for number in range(rounds):
        wanted = [(number * groups + group) * micro_batch + row for row in range(micro_batch)]
        picked = [min(row, rows - 1) for row in wanted]
        labels = batch.labels[picked].copy()
        labels[[row >= rows for row in wanted]] = IGNORE_INDEX
        yield Batch(batch.tokens[picked], batch.positions[picked], labels)


def _loss_sums(engine: deepspeed.DeepSpeedEngine, batch: Batch, far_from: int) -> Tensor:
    """This rank's summed loss and number of near labels, then of far ones: float64 on the CPU, shape (4,)."""
    with torch.no_grad():
        arrays = (torch.from_numpy(each).to(device()) for each in (batch.tokens, batch.positions, batch.labels))
        tokens, positions, labels = arrays
        losses = engine(tokens, positions, labels)[1].double().cpu()
    valid, far = (labels != IGNORE_INDEX).cpu(), (positions >= far_from).cpu()
    near, far = valid & ~far, valid & far
    return torch.stack([losses[near].sum(), near.sum(), losses[far].sum(), far.sum()])
