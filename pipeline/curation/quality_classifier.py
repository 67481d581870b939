"""A classifier of documents: hashed words and word pairs, the mean of their embeddings, one linear layer.

What fastText does, in torch: the same text, labels and seed give the same model. A score is the probability
of high quality, whatever the order of the labels.
"""

import itertools
import re
import zlib
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from pipeline.curation.recipe_steps import QualityClassifier

Label = Literal["high", "web"]
BATCH = 64
WORD = re.compile(r"\w+|[^\w\s]")


def features(text: str, step: QualityClassifier) -> torch.Tensor:
    """Hashes of the words and word pairs of a text's beginning; of an empty text, of the empty word."""
    words = WORD.findall(text[: step.document_characters].lower()) or [""]
    pairs = [f"{one} {other}" for one, other in itertools.pairwise(words)]
    mask = (1 << step.hash_bits) - 1
    return torch.tensor([zlib.crc32(gram.encode("utf-8", "replace")) & mask for gram in words + pairs])


class BagOfGrams(nn.Module):
    """Mean of embeddings, then one logit per label."""

    def __init__(self, step: QualityClassifier, labels: Sequence[Label]) -> None:
        super().__init__()
        self.labels = tuple(labels)
        generator = torch.Generator().manual_seed(step.seed)
        rows = torch.empty(1 << step.hash_bits, step.dimensions)
        self.embedding = nn.EmbeddingBag.from_pretrained(
            rows.uniform_(-1 / step.dimensions, 1 / step.dimensions, generator=generator),
            freeze=False,
            mode="mean",
        )
        self.head = nn.Linear(step.dimensions, len(self.labels))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, bags: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits of a batch of hashed texts."""
        starts = torch.tensor([0, *(len(bag) for bag in bags[:-1])]).cumsum(0)
        return self.head(self.embedding(torch.cat(list(bags)), starts))

    @torch.no_grad()
    def score(self, bags: Sequence[torch.Tensor]) -> list[float]:
        """The probability of high quality of each text."""
        high = self.labels.index("high")
        scores: list[float] = []
        for start in range(0, len(bags), BATCH):
            probabilities = self(bags[start : start + BATCH]).double().softmax(-1)
            scores += probabilities[:, high].tolist()
        return [round(score, 6) for score in scores]


def train(
    examples: Sequence[tuple[str, Label]], step: QualityClassifier, labels: Sequence[Label] = ("web", "high")
) -> BagOfGrams:
    """A classifier of texts; both classes weigh the same, however many examples they have."""
    model = BagOfGrams(step, labels)
    bags = [features(text, step) for text, _ in examples]
    classes = torch.tensor([model.labels.index(label) for _, label in examples])
    weights = len(examples) / (len(labels) * classes.bincount(minlength=len(labels)).clamp(min=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=step.learning_rate)
    generator = torch.Generator().manual_seed(step.seed)
    for _ in range(step.epochs):
        order = torch.randperm(len(bags), generator=generator).tolist()
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            loss = nn.functional.cross_entropy(model([bags[index] for index in batch]), classes[batch], weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model
