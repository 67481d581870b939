"""Steps that compare documents with each other."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.scope import Scope


@dataclass(frozen=True, kw_only=True)
class ExactDedup:
    """Keeps one of the documents with the same SHA-256 of their normalised content (Granite 3.0 report)."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["exact_dedup"]
    against: tuple[str, ...] = ()
    """Folders of finished `curate` stages, as in `runs/first/curate`: what they kept in the domain goes."""


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
    """datatrove's name of the language whose word tokenizer is used."""
    save_signatures: bool = False
    """Keep the signatures of what stays, so that later runs can name this one in `against`. 8 bytes a bucket."""
    against: tuple[str, ...] = ()
    """Folders of finished `curate` stages that saved signatures: what is like one of their documents goes."""


@dataclass(frozen=True, kw_only=True)
class SubstringDedup:
    """Takes out what stands word for word in an earlier document, or earlier in the same: the first copy stays.

    Lee et al. 2022 (arXiv 2107.06499). GneissWeb names 50 tokens, but its tool counts bytes, and a token has two of
    them: 25 tokens are enough. Here the unit has a name. The order of documents is that of their ids.
    """

    scope: ClassVar[Scope] = "domain"
    step: Literal["substring_dedup"]
    unit: Literal["words", "bytes", "tokens"] = "words"
    """What is counted and compared: what stands between white space, UTF-8 bytes, or tokens of the tokenizer."""
    minimum_units: int = 50
    """Units in a row that make a copy (Lee et al. 2022, GneissWeb: 50 tokens)."""
    tokenizer: str | None = None
    """With `tokens`: a tokenizer.json. A relative path is taken from the working directory."""
    minimum_left: int = 10
    """Units from which a document stays of which something was taken out."""
    buckets: int = 16
    """Parts that all runs of units are sorted in. Memory: some 50 bytes a unit of the domain, divided by them."""
    save_runs: bool = False
    """Keep the runs of what stays, so that later runs can name this one in `against`. 16 bytes a unit."""
    against: tuple[str, ...] = ()
    """Folders of finished `curate` stages that saved runs: theirs are the first copies, and stay."""

    def __post_init__(self) -> None:
        for name, least in (("minimum_units", 2), ("minimum_left", 0), ("buckets", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, set {least} or more")
        if (self.unit == "tokens") != (self.tokenizer is not None):
            raise ValueError(f"unit is {self.unit}, set a tokenizer with tokens and with nothing else")
