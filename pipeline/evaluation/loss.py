"""Loss on packed token sequences: mean cross-entropy in nats per token, with attention inside documents only.

Fine-tuning measures another loss, on the assistant's tokens of conversations
(`pipeline.posttraining.sft.held_out_loss`); a pretraining phase measures this one with the model it trains, on all of
its ranks (`pipeline.pretraining.validation`).
"""

from collections import defaultdict
from typing import Any
from weakref import WeakKeyDictionary

import numpy
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from pipeline.core.errors import ConfigError
from pipeline.evaluation.bench import Bench, Measured
from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, domains_with_validation, validation_batch
from pipeline.pretraining.model.architecture import logits_divisor

TOLERANCE = 1e-2
"""Largest difference of logits, relative to the largest, that rounding to bf16 explains."""
_IS_PRODUCT: "WeakKeyDictionary[Any, bool]" = WeakKeyDictionary()


@torch.inference_mode()
def token_losses(model: PreTrainedModel, batch: Batch, chunk_tokens: int) -> torch.Tensor:
    """Cross-entropy at every position in nats, shape (sequences, context), 0 where the label is `IGNORE_INDEX`.

    There is no attention mask: transformers then takes each run of ascending positions for a document of its own. A
    whole sequence's logits would be (context, vocabulary) in float32, 49 GiB at 128K tokens and Granite's vocabulary,
    so the decoder runs once and its head on `chunk_tokens` positions at a time.

    Args:
        model: any causal language model. One whose logits are more than its output layer's product, such as Gemma's,
            has those of all positions in memory.
        batch: sequences that fit the device together.
        chunk_tokens: positions whose logits are in memory at a time.
    """
    tokens, positions = (torch.from_numpy(each).to(model.device) for each in (batch.tokens, batch.positions))
    labels = torch.from_numpy(batch.labels).to(model.device).flatten()
    decoder: Any = model.get_decoder()
    head: Any = model.get_output_embeddings()
    divisor = logits_divisor(model.config)
    if not _logits_are_product(model):
        logits = model(input_ids=tokens, position_ids=positions, use_cache=False).logits.flatten(0, 1).float()
        losses = functional.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
        return losses.view(batch.tokens.shape)
    hidden = decoder(input_ids=tokens, position_ids=positions, use_cache=False)[0].flatten(0, 1)
    losses = [
        functional.cross_entropy(head(states).float() / divisor, targets, ignore_index=IGNORE_INDEX, reduction="none")
        for states, targets in zip(hidden.split(chunk_tokens), labels.split(chunk_tokens), strict=True)
    ]
    return torch.cat(losses).view(batch.tokens.shape)


@torch.inference_mode()
def _logits_are_product(model: Any) -> bool:
    """Whether logits are the output layer's product, divided by what is known of the architecture; found out once."""
    if model not in _IS_PRODUCT:
        ids = torch.arange(min(8, model.get_input_embeddings().weight.shape[0]), device=model.device)[None]
        logits = model(input_ids=ids, use_cache=False).logits.float()
        hidden = model.get_decoder()(input_ids=ids, use_cache=False)[0]
        product = model.get_output_embeddings()(hidden).float() / logits_divisor(model.config)
        _IS_PRODUCT[model] = bool((product - logits).abs().max() <= TOLERANCE * logits.abs().max())
    return _IS_PRODUCT[model]


def summed_loss(model: PreTrainedModel, batch: Batch, chunk_tokens: int, first_position: int = 0) -> tuple[float, int]:
    """The sum of the loss over labels at `first_position` of their sequence or later, and the number of these labels.

    The sequences are one forward pass; see `token_losses` for the rest.
    """
    losses = token_losses(model, batch, chunk_tokens)[:, first_position:]
    count = int(numpy.count_nonzero(batch.labels[:, first_position:] != IGNORE_INDEX))
    return float(losses.sum(dtype=torch.float64)), count


def passes(batch: Batch, batch_tokens: int) -> list[Batch]:
    """A batch in parts of whole sequences, one at least, of about `batch_tokens` tokens: forward passes."""
    rows = max(1, batch_tokens // batch.tokens.shape[1])
    return [
        Batch(*(each[start : start + rows] for each in (batch.tokens, batch.positions, batch.labels)))
        for start in range(0, len(batch.tokens), rows)
    ]


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
    sums = [summed_loss(model, part, chunk_tokens, first_position) for part in passes(batch, batch_tokens)]
    return mean_of(sums)


def mean_of(sums: list[Any]) -> tuple[float, int]:
    """The mean and the number of values, from the sum and the number of parts of them."""
    total, count = 0.0, 0
    for part, number in sums:
        total += part
        count += number
    return total / max(count, 1), count


def measure(bench: Bench) -> Measured:
    """`loss/<domain>` and `loss/mean` in nats per token, on held-out tokens; a collective.

    Raises:
        ConfigError: if no domain has enough of them.
    """
    config, settings = bench.config, bench.config.loss
    assert settings is not None
    assert bench.tokens is not None
    units = [
        (domain, part)
        for domain in domains_with_validation(bench.tokens)
        if (batch := validation_batch(bench.tokens, domain, settings.context, settings.sequences_per_domain))
        for part in passes(batch, config.batch_tokens)
    ]
    if not units:
        raise ConfigError(
            f"{bench.where}.loss.context={settings.context}: no domain has that many held-out tokens, set a shorter "
            "context"
        )
    sums = bench.shared(
        "loss",
        units,
        lambda unit: summed_loss(bench.loaded.model, unit[1], config.loss_chunk_tokens),
        counted="batches",
        label="held-out loss",
    )
    by_domain: dict[str, list[Any]] = defaultdict(list)
    for (domain, _), each in zip(units, sums, strict=True):
        by_domain[domain].append(each)
    means = {domain: mean_of(each) for domain, each in by_domain.items()}
    metrics = {f"loss/{domain}": mean for domain, (mean, _) in means.items()}
    metrics["loss/mean"] = sum(mean for mean, _ in means.values()) / len(means)
    return Measured(metrics, sum(count for _, count in means.values()))
