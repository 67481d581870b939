"""What all steps of a recipe have in common: a name, a scope, and a reference to the code that carries them out."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, get_args, get_type_hints

from pipeline.core.config import build
from pipeline.core.errors import ConfigError

Scope = Literal["page", "document", "domain"]
"""What a step looks at: a page with its markup, the text of one document, or all documents of a domain. The steps of a
recipe come in this order."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

STEPS: dict[str, type["Step"]] = {}
"""Every kind of step by its name in recipes. Defining a subclass of `Step` adds it."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something a recipe can do to documents; the fields of a subclass are its settings.

    A subclass annotates `step` with `Literal["<name in recipes>"]` and is then found in `STEPS`. A base class that
    several steps share leaves `step` as it is and is not registered. Instances for use come from
    `pipeline.core.config.build`, which checks types and ranges; the constructor checks relations between fields only.
    """

    scope: ClassVar[Scope]
    implementation: ClassVar[str] = ""
    """`module:function` below `pipeline.curation.filters`. The function takes the step and returns the document filter,
    or datatrove's extractor for an `Extractor`. It is a string because reading a recipe must import no model. Steps of
    scope `domain` have none: the tasks of `pipeline.curation.tasks` carry them out."""
    step: str
    """The step's name in recipes, in removal rows and in the report."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in get_args(get_type_hints(cls)["step"]):
            if name in STEPS:
                raise TypeError(f"{cls.__name__}: step {name} exists already, as {STEPS[name].__name__}")
            STEPS[name] = cls


@dataclass(frozen=True, kw_only=True)
class PerLanguage(Step):
    """A step whose settings can differ between languages, as in FineWeb-2 (arXiv 2506.20920)."""

    by_language: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings that differ, by the ISO 639-1 code that the step `language` found; all others are those of the step."""

    def __post_init__(self) -> None:
        for language in self.by_language:
            try:
                self.for_language(language)
            except ConfigError as error:
                raise ValueError(str(error)) from None

    def for_language(self, language: str) -> Self:
        """This step with the settings of one language, without `by_language`.

        Raises:
            ConfigError: for a setting that does not exist, has another type or is out of range.
        """
        changes = self.by_language.get(language, {})
        own = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return build(type(self), {**own, "by_language": {}, **changes}, f"by_language.{language}")
