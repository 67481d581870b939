"""Settings of a step that differ between languages, as in FineWeb-2 (arXiv 2506.20920)."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from pipeline.core.config import build
from pipeline.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PerLanguage:
    """A step whose settings can depend on a document's language."""

    by_language: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings that differ, by the ISO 639-1 code that the step `language` found; all others are those of the step."""

    def __post_init__(self) -> None:
        for language in self.by_language:
            try:
                self.of(language)
            except ConfigError as error:
                raise ValueError(str(error)) from None

    def of(self, language: str) -> Self:
        """The step as it is for a language.

        Raises:
            ConfigError: for a setting that does not exist or has another type.
        """
        changes = self.by_language.get(language, {})
        own = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return build(type(self), {**own, "by_language": {}, **changes}, f"by_language.{language}")
