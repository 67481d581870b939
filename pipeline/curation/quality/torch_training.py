"""Trains a classifier of documents in torch: hashed n-grams of words, the mean of their embeddings, one linear layer.

That is fastText's model (Joulin et al. 2017, arXiv 1607.01759). Here the same texts, labels and seed give the same
bytes; fastText's own training, several threads that write without locks, does not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy
import torch
from torch import nn

from pipeline.core.errors import DataError
from pipeline.curation.quality.classifier import BagOfNgrams
from pipeline.curation.quality.hashing import NgramHasher
from pipeline.curation.quality.model_card import Example, describe_training, is_held_out, write_card
from pipeline.curation.recipes.steps.classifiers import ClassifierTraining

BATCH = 64


def train_and_save(
    examples: Sequence[Example], labels: Sequence[str], positive: str, settings: ClassifierTraining, folder: Path
) -> BagOfNgrams:
    """Trains on all examples but those held out, which the card is about, and writes classifier and card to a folder.

    Args:
        examples: of all classes; held out by their ids, so that copies of one are on the same side.
        labels: of the classes, in the order of the classifier's columns.
        positive: the label whose probability the card is about.
        settings: of the model and its training.
        folder: where to write.

    Raises:
        DataError: if a class has no example left to train on.
    """
    held_out = [example for example in examples if is_held_out(example, settings.held_out_share)]
    training = [example for example in examples if not is_held_out(example, settings.held_out_share)]
    for label in labels:
        if not any(example.label == label for example in training):
            raise DataError(
                f"{folder}: no example of {label} to train on beside those held out, give more or set "
                f"held_out_share={settings.held_out_share} to 0"
            )
    model = train(training, labels, settings)
    described = {"settings": asdict(settings), "data": describe_training(training, held_out, labels)}
    model.save(folder, described)
    write_card(folder, model, positive, held_out, described)
    return model


@contextmanager
def _one_thread() -> Iterator[None]:
    """Makes torch sum in one order, so that the result is the same on any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train(examples: Sequence[Example], labels: Sequence[str], settings: ClassifierTraining) -> BagOfNgrams:
    """Trains a classifier of the examples' texts; all classes weigh the same, however many examples they have.

    Args:
        examples: in the order that the seed shuffles.
        labels: of the classes, in the order of the classifier's columns.
        settings: of the model and its training.
    """
    hasher = NgramHasher(settings.hash_bits, settings.n_grams, settings.document_characters)
    generator = torch.Generator().manual_seed(settings.seed)
    rows = torch.empty(1 << settings.hash_bits, settings.dimensions)
    rows.uniform_(-1 / settings.dimensions, 1 / settings.dimensions, generator=generator)
    embedding = nn.EmbeddingBag.from_pretrained(rows, freeze=False, mode="mean", sparse=True)
    head = nn.Linear(settings.dimensions, len(labels))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    classes = torch.tensor([labels.index(example.label) for example in examples])
    weights = len(examples) / (len(labels) * classes.bincount(minlength=len(labels)).clamp(min=1))
    # Gradients of the table are those of the few rows in a batch: an optimizer for them never touches the others.
    optimizers = [
        torch.optim.SparseAdam(list(embedding.parameters()), lr=settings.learning_rate),
        torch.optim.Adam(head.parameters(), lr=settings.learning_rate),
    ]
    with _one_thread():
        for _ in range(settings.epochs):
            order = torch.randperm(len(examples), generator=generator)
            for batch in order.split(BATCH):
                bags, starts = _bags(hasher, [examples[index].text for index in batch.tolist()])
                loss = nn.functional.cross_entropy(head(embedding(bags, starts)), classes[batch], weights)
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
        with torch.no_grad():
            table = embedding.weight @ head.weight.T
    return BagOfNgrams(tuple(labels), hasher, table.numpy(), head.bias.detach().numpy())


def _bags(hasher: NgramHasher, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows of the texts' n-grams, one text after the other, and where each text begins."""
    rows, owners = hasher(texts)
    grouped = rows[numpy.argsort(owners, kind="stable")]
    sizes = numpy.bincount(owners, minlength=len(texts))
    return torch.from_numpy(grouped), torch.from_numpy(numpy.cumsum(sizes) - sizes)
