"""Steps that compare documents with each other."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipe_steps.scope import Scope


@dataclass(frozen=True, kw_only=True)
class ExactDedup:
    """Keeps one of the documents with the same SHA-256 of their normalised content (Granite 3.0 report)."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["exact_dedup"]


@dataclass(frozen=True, kw_only=True)
class MinHash:
    """Keeps one of the documents that share most of their n-grams: MinHash, then Jaccard."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["minhash"]
    n_grams: int = 5
    """Words in a shingle (FineWeb, data-prep-kit)."""
    buckets: int = 14
    hashes_per_bucket: int = 8
    """14 x 8: candidates at a similarity of 0.72 and more (FineWeb)."""
    minimum_jaccard: float = 0.75
    """Similarity from which a candidate is a duplicate (data-prep-kit; Granite publishes none)."""
    language: str = "eng"
