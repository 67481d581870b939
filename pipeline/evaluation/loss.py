"""Held-out loss: mean cross-entropy in nats per token, with attention inside documents."""

from pathlib import Path
from typing import Any

import numpy
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, validation_batch


@torch.inference_mode()
def token_losses(model: PreTrainedModel, batch: Batch, chunk_tokens: int) -> torch.Tensor:
    """Cross-entropy of every position, shape (sequences, context), 0 where the label is ignored.

    Positions that restart bound attention: without an attention mask, transformers takes each ascending run
    of positions for a document of its own. Logits are made for `chunk_tokens` positions at a time.
    """
    inputs = [torch.from_numpy(each).to(model.device) for each in (batch.tokens, batch.positions)]
    labels = torch.from_numpy(batch.labels).to(model.device).flatten()
    decoder: Any = model.get_decoder()
    head: Any = model.get_output_embeddings()
    scaling = model.config.logits_scaling
    hidden = decoder(input_ids=inputs[0], position_ids=inputs[1], use_cache=False)[0].flatten(0, 1)
    losses = [
        functional.cross_entropy(head(states).float() / scaling, targets, ignore_index=IGNORE_INDEX, reduction="none")
        for states, targets in zip(hidden.split(chunk_tokens), labels.split(chunk_tokens), strict=True)
    ]
    return torch.cat(losses).view(batch.tokens.shape)


def mean_loss(
    model: PreTrainedModel, batch: Batch, batch_tokens: int, chunk_tokens: int, first_position: int = 0
) -> tuple[float, int]:
    """Mean over labels at `first_position` of their sequence or later, and how many those are.

    The sequences pass through the model in groups of about `batch_tokens` tokens.
    """
    total, count = 0.0, 0
    rows = max(1, batch_tokens // batch.tokens.shape[1])
    for start in range(0, len(batch.tokens), rows):
        part = Batch(*(each[start : start + rows] for each in (batch.tokens, batch.positions, batch.labels)))
        losses = token_losses(model, part, chunk_tokens)[:, first_position:]
        total += float(losses.sum(dtype=torch.float64))
        count += int(numpy.count_nonzero(part.labels[:, first_position:] != IGNORE_INDEX))
    return total / max(count, 1), count


def domain_loss(
    model: PreTrainedModel,
    tokens: Path,
    domain: str,
    context: int,
    sequences: int,
    batch_tokens: int,
    chunk_tokens: int,
) -> tuple[float, int] | None:
    """Mean loss of a domain's held-out sequences, and its number of labels; None if they fill no sequence."""
    batch = validation_batch(tokens, domain, context, sequences)
    return None if batch is None else mean_loss(model, batch, batch_tokens, chunk_tokens)
