"""Steps that look at pages with their markup: one rejects them by address, the extractors turn them into text."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import PositiveFloat, PositiveInt

from pipeline.curation.recipes.steps.base import Scope, Step


@dataclass(frozen=True, kw_only=True)
class UrlFilter(Step):
    """Rejects documents by their address (metadata `url`): datatrove's URL filter, without network access."""

    scope: ClassVar[Scope] = "page"
    implementation: ClassVar[str] = "urls:url_filter"
    step: Literal["url_filter"]
    bundled_lists: bool = True
    """Use the lists that come with datatrove, as FineWeb does: 4.6 million domains, and words."""
    domains: tuple[str, ...] = ()
    """More domains and hosts to reject."""
    domains_file: str | None = None
    """A text file with more domains and hosts to reject, one a line."""
    banned_words: tuple[str, ...] = ()
    """Words of which one in an address is enough to reject it."""
    banned_subwords: tuple[str, ...] = ()
    """Letter sequences of which one is enough to reject an address, also inside a word."""
    soft_banned_words: tuple[str, ...] = ()
    """Words that reject an address only if `soft_word_threshold` of them are in it."""
    soft_word_threshold: PositiveInt = 2
    """How many soft banned words reject an address (RefinedWeb and FineWeb: 2)."""


@dataclass(frozen=True, kw_only=True)
class Extractor(Step):
    """Base of the steps that turn the HTML of a page into text; a recipe over pages has exactly one."""

    scope: ClassVar[Scope] = "page"


@dataclass(frozen=True, kw_only=True)
class Trafilatura(Extractor):
    """Extracts text from HTML with trafilatura, through datatrove: articles without what surrounds them."""

    implementation: ClassVar[str] = "extraction:trafilatura_extractor"
    step: Literal["trafilatura"]
    favor_precision: bool = True
    """Prefer less text that is surely content (FineWeb)."""
    timeout_seconds: PositiveFloat = 60.0
    """Wall-clock limit for a page. It is generous because datatrove's one second loses pages on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Resiliparse(Extractor):
    """Extracts text from HTML with resiliparse (DCLM): faster, and keeps tables, code, questions with answers."""

    implementation: ClassVar[str] = "extraction:ResiliparseExtractor"
    step: Literal["resiliparse"]
    main_content: bool = True
    """Leave out navigation, and comments too unless `comments` is set."""
    comments: bool = False
    """Keep the comments of readers."""
    links: bool = False
    """Write the targets of links into the text."""
    alternative_texts: bool = False
    """Write the descriptions of images into the text."""
    timeout_seconds: PositiveFloat = 60.0
    """Wall-clock limit for a page."""
