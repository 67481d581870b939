"""Steps that choose pages and turn them into text."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.scope import Scope


@dataclass(frozen=True, kw_only=True)
class UrlFilter:
    """Refuses documents by their address (metadata `url`): datatrove's URL filter, without network access."""

    scope: ClassVar[Scope] = "page"
    step: Literal["url_filter"]
    bundled_lists: bool = True
    """The lists that datatrove carries, as in FineWeb: 4.6 million domains, and words."""
    domains: tuple[str, ...] = ()
    """More domains and hosts to refuse."""
    domains_file: str | None = None
    """A file with one more domain or host a line."""
    banned_words: tuple[str, ...] = ()
    """Refuse addresses with one of these words."""
    banned_subwords: tuple[str, ...] = ()
    """Refuse addresses with one of these letter sequences, also inside words."""
    soft_banned_words: tuple[str, ...] = ()
    """Refuse addresses with as many of these words as the next field says."""
    soft_word_threshold: int = 2
    """RefinedWeb and FineWeb: 2."""


@dataclass(frozen=True, kw_only=True)
class Trafilatura:
    """Text out of HTML, by trafilatura through datatrove: articles without what surrounds them."""

    scope: ClassVar[Scope] = "page"
    step: Literal["trafilatura"]
    favor_precision: bool = True
    """Less text, but surely text (FineWeb)."""
    timeout_seconds: float = 60.0
    """Wall-clock limit per page. Generous: with datatrove's one second, a busy machine loses pages."""


@dataclass(frozen=True, kw_only=True)
class Resiliparse:
    """Text out of HTML, by resiliparse (DCLM): faster, and keeps tables, code, questions with answers."""

    scope: ClassVar[Scope] = "page"
    step: Literal["resiliparse"]
    main_content: bool = True
    """Leave out navigation, and comments with the next field."""
    comments: bool = False
    links: bool = False
    """Write the targets of links."""
    alternative_texts: bool = False
    """Write the descriptions of images."""
    timeout_seconds: float = 60.0
    """Wall-clock limit per page."""


EXTRACTORS = (Trafilatura, Resiliparse)
