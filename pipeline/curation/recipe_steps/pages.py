"""Steps that turn pages into text."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipe_steps.scope import Scope


@dataclass(frozen=True, kw_only=True)
class Trafilatura:
    """Text out of HTML, by trafilatura through datatrove. First step of a recipe whose sources are pages."""

    scope: ClassVar[Scope] = "page"
    step: Literal["trafilatura"]
    favor_precision: bool = True
    """Less text, but surely text (FineWeb)."""
    timeout_seconds: float = 60.0
    """Wall-clock limit per page. Generous: with datatrove's one second, a busy machine loses pages."""
