"""Steps that score documents with a trained model."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipe_steps.scope import Scope


@dataclass(frozen=True, kw_only=True)
class QualityClassifier:
    """Keeps the share of documents most like curated ones, by a classifier trained on the spot."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["quality_classifier"]
    positives: tuple[str, ...]
    """Domains that are examples of high quality. The other class is the domain scored, as in DCLM."""
    keep_share: float = 0.10
    """Share kept (DCLM: the top tenth)."""
    training_documents: int = 20_000
    """Most documents of each class to train on."""
    document_characters: int = 2_000
    """Characters of a document that are read."""
    hash_bits: int = 18
    """2^bits rows of hashed words and word pairs."""
    dimensions: int = 16
    epochs: int = 5
    learning_rate: float = 0.02
    seed: int = 0
