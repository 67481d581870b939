"""Loss on packed token sequences: mean cross-entropy in nats per token, with attention inside documents only.

Fine-tuning measures another loss, on the assistant's tokens of conversations
(`pipeline.posttraining.sft.held_out_loss`); a pretraining phase measures this one with the model it trains, on all of
its ranks (`pipeline.pretraining.validation`).
"""

from pathlib import Path
from typing import Any

import numpy
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, validation_batch
from pipeline.pretraining.model.architecture import logits_divisor


@torch.inference_mode()
def token_losses(model: PreTrainedModel, batch: Batch, chunk_tokens: int) -> torch.Tensor:
    """Cross-entropy at every position in nats, shape (sequences, context), 0 where the label is `IGNORE_INDEX`.

    There is no attention mask: transformers then takes each run of ascending positions for a document of its own. A
    whole sequence's logits would be (context, vocabulary) in float32, 49 GiB at 128K tokens and Granite's vocabulary,
    so the decoder runs once and its head on `chunk_tokens` positions at a time.

    Args:
        model: one whose logits are a linear layer's product, which Granite divides.
        batch: sequences that fit the device together.
        chunk_tokens: positions whose logits are in memory at a time.
    """
    tokens, positions = (torch.from_numpy(each).to(model.device) for each in (batch.tokens, batch.positions))
    labels = torch.from_numpy(batch.labels).to(model.device).flatten()
    decoder: Any = model.get_decoder()
    head: Any = model.get_output_embeddings()
    divisor = logits_divisor(model.config)
    hidden = decoder(input_ids=tokens, position_ids=positions, use_cache=False)[0].flatten(0, 1)
    losses = [
        functional.cross_entropy(head(states).float() / divisor, targets, ignore_index=IGNORE_INDEX, reduction="none")
        for states, targets in zip(hidden.split(chunk_tokens), labels.split(chunk_tokens), strict=True)
    ]
    return torch.cat(losses).view(batch.tokens.shape)


def mean_loss(
    model: PreTrainedModel, batch: Batch, batch_tokens: int, chunk_tokens: int, first_position: int = 0
) -> tuple[float, int]:
    """The mean loss over labels at `first_position` of their sequence or later, and the number of these labels.

    Args:
        model: what is measured.
        batch: any number of sequences.
        batch_tokens: about the tokens of one forward pass; it has whole sequences, and one at least.
        chunk_tokens: positions whose logits are in memory at a time.
        first_position: in tokens from the sequence's beginning; 0 counts all.
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
    """The mean loss on the first `sequences` held-out sequences of a domain, and their number of labels.

    `tokens` is the `tokens/` folder of a tokenize stage, `context` the tokens of a sequence; see `mean_loss` for the
    rest. None if the domain's held-out tokens fill no sequence.
    """
    batch = validation_batch(tokens, domain, context, sequences)
    return None if batch is None else mean_loss(model, batch, batch_tokens, chunk_tokens)
