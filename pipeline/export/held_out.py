"""The texts on which an export is compared with the folder that it was made from, and the loss on them.

Runtimes differ in what they can be asked. All of them take one text and give the probability of each next token, so
that is what is measured: documents apart, without packing.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoTokenizer

from pipeline.core.errors import DataError
from pipeline.inference.loading import load_model
from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, domains_with_validation, validation_batch
from pipeline.tokenization.tokenizer import document_ids


@dataclass(frozen=True)
class Passage:
    """A part of one held-out document."""

    domain: str
    tokens: list[int]
    """At least two ids; every one after the first is predicted."""


@dataclass(frozen=True)
class HeldOutLoss:
    """What was measured of a model."""

    mean: float
    """Nats per token: the mean over domains of the mean over tokens, as in the stages `evaluate_*`."""
    tokens: int
    """Tokens that were predicted."""


def of_run(tokens: Path, per_domain: int) -> list[Passage]:
    """The first held-out tokens of every domain, cut at the ends of documents: those that evaluations begin with.

    Args:
        tokens: the `tokens/` folder of a tokenize stage.
        per_domain: tokens of each domain; a domain that has fewer is left out.

    Raises:
        DataError: if no domain has so many.
    """
    passages = []
    for domain in domains_with_validation(tokens):
        batch = validation_batch(tokens, domain, per_domain, 1)
        if batch is not None:
            passages += [Passage(domain, ids) for ids in _documents(batch)]
    if not passages:
        raise DataError(f"{tokens}: no domain has {per_domain} held-out tokens; set fewer with --tokens")
    return passages


def of_file(path: Path, folder: Path, limit: int) -> list[Passage]:
    """The beginning of a text file in the tokens of a model, as one passage of the domain `text`.

    Args:
        path: UTF-8 text.
        folder: of the model, for its tokenizer.
        limit: most tokens.

    Raises:
        DataError: if the file cannot be read as text or is shorter than two tokens.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    try:
        # Four bytes a token are usual; sixteen are enough for any text that is not one endless word.
        with path.open(encoding="utf-8") as file:
            ids = document_ids(tokenizer, file.read(16 * limit))[:limit]
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; give another file with --texts") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give another file with --texts") from None
    if len(ids) < 2:
        raise DataError(f"{path}: holds less than two tokens; give a longer text with --texts")
    return [Passage("text", ids)]


def mean_loss(passages: Sequence[Passage], losses: Sequence[Sequence[float]]) -> HeldOutLoss:
    """The loss of a model: the mean over domains of the mean over their tokens.

    Args:
        passages: what was measured.
        losses: in nats, of each passage those of its tokens after the first.
    """
    domains: dict[str, list[float]] = defaultdict(list)
    for passage, each in zip(passages, losses, strict=True):
        if len(each) != len(passage.tokens) - 1:
            raise ValueError(f"{len(each)} losses of a passage of {len(passage.tokens)} tokens")
        domains[passage.domain] += each
    means = [sum(each) / len(each) for each in domains.values()]
    return HeldOutLoss(sum(means) / len(means), sum(len(each) for each in domains.values()))


@torch.inference_mode()
def transformers_losses(folder: Path, passages: Sequence[Passage]) -> list[list[float]]:
    """The losses that transformers measures, in the arithmetic that the weights are stored in.

    Raises:
        CheckpointError: if the folder cannot be loaded.
    """
    model: Any = load_model(folder).model
    return [
        next_token_losses(model(input_ids=torch.tensor([each.tokens], device=model.device)).logits[0], each.tokens)
        for each in passages
    ]


def next_token_losses(logits: torch.Tensor, tokens: Sequence[int]) -> list[float]:
    """Cross-entropy in nats of each token after the first; `logits` are (tokens, vocabulary)."""
    targets = torch.tensor(tokens[1:], device=logits.device)
    return functional.cross_entropy(logits[:-1].float(), targets, reduction="none").tolist()


def _documents(batch: Batch) -> Iterator[list[int]]:
    """The documents in packed sequences, each with the label of its last position if that is the next token."""
    for tokens, positions, labels in zip(batch.tokens, batch.positions, batch.labels, strict=True):
        starts = [at for at, position in enumerate(positions.tolist()) if position == 0]
        for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
            last = labels[end - 1].item()
            ids = tokens[start:end].tolist() + ([last] if last != IGNORE_INDEX else [])
            if len(ids) > 1:
                yield ids
