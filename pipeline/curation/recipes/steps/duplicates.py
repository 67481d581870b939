"""Steps that compare the documents of a domain with each other, and with what earlier runs kept."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from pipeline.core.config import IF_SET, Share
from pipeline.curation.recipes.steps.base import Scope, Step


@dataclass(frozen=True, kw_only=True)
class ExactDedup(Step):
    """Keeps one of the documents with the same SHA-256 of their normalized text (Granite 3.0 report)."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["exact_dedup"]
    against: tuple[str, ...] = ()
    """Output folders of finished `curate` stages, such as `runs/first/curate`: what they kept in the domain is removed
    here."""


@dataclass(frozen=True, kw_only=True)
class MinHash(Step):
    """Keeps one of the documents that share most of their n-grams: MinHash finds candidates, Jaccard decides."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["minhash"]
    n_grams: PositiveInt = 5
    """Words in a shingle (FineWeb, data-prep-kit)."""
    buckets: PositiveInt = 14
    """Bands of the signature. Documents that agree in all hashes of one band are candidates."""
    hashes_per_bucket: PositiveInt = 8
    """Hashes in a band. With 14 bands of 8, documents of similarity 0.72 and more are likely candidates (FineWeb)."""
    minimum_jaccard: Share = 0.75
    """Jaccard similarity of the shingles from which a candidate is a duplicate (data-prep-kit; Granite publishes
    none)."""
    language: str = "eng"
    """datatrove's name of the language whose word tokenizer is used."""
    numbers_alike: bool = field(default=True, metadata=IF_SET)
    """Take all numbers for the same word, as datatrove does: texts that differ in numbers alone are duplicates."""
    save_signatures: bool = False
    """Keep the signatures of the remaining documents, so that later runs can name this one in `against`. They take 8
    bytes a document and bucket."""
    against: tuple[str, ...] = ()
    """Output folders of finished `curate` stages that saved signatures: what resembles one of their documents is
    removed."""


@dataclass(frozen=True, kw_only=True)
class SubstringDedup(Step):
    """Cuts out text that stands word for word in an earlier document, or earlier in the same one; the first copy stays.

    Lee et al. 2022 (arXiv 2107.06499). "Earlier" is in the order of document ids. GneissWeb says 50 tokens, but its
    tool counts bytes at two bytes a token, so 25 tokens are enough for it; here the unit is named.
    """

    scope: ClassVar[Scope] = "domain"
    step: Literal["substring_dedup"]
    unit: Literal["words", "bytes", "tokens"] = "words"
    """What is counted and compared: words between white space, UTF-8 bytes, or tokens of `tokenizer`."""
    minimum_units: Annotated[int, Field(ge=2)] = 50
    """Length from which a repeated run of units is cut out (Lee et al. 2022, GneissWeb: 50 tokens)."""
    tokenizer: str | None = None
    """The tokenizer.json whose tokens are the units, if `unit` is tokens. A relative path is taken from the working
    directory."""
    minimum_left: NonNegativeInt = 10
    """Units that must remain of a document from which something was cut out; with fewer it is removed."""
    buckets: PositiveInt = 16
    """Parts in which the n-grams of the domain are sorted. Memory: some 50 bytes a unit of the domain, divided by
    them."""
    save_runs: bool = False
    """Keep the n-gram hashes of the remaining documents, so that later runs can name this one in `against`. They take
    16 bytes a unit."""
    against: tuple[str, ...] = ()
    """Output folders of finished `curate` stages that saved their n-gram hashes: theirs are the first copies, which
    stay."""

    def __post_init__(self) -> None:
        if (self.unit == "tokens") != (self.tokenizer is not None):
            raise ValueError(f"unit is {self.unit}, set a tokenizer with tokens and with nothing else")
