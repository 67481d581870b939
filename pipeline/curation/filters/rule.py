"""The contract of a rule: what it looked at in one document, and whether the document stays."""

from collections.abc import Callable
from typing import TypeVar

from datatrove.data import Document

from pipeline.curation.audit.judgement import Judgement
from pipeline.curation.recipes.steps.per_language import PerLanguage

Rule = Callable[[Document], Judgement]
"""A pure function of the document's text and metadata; the only thing it may change is that document."""


StepT = TypeVar("StepT", bound=PerLanguage)


def per_language(step: StepT, make: Callable[[StepT], Rule]) -> Rule:
    """The rule of a step whose settings depend on the language that the step `language` wrote into the metadata."""
    others = {language: make(step.of(language)) for language in step.by_language}
    general = make(step)
    return lambda document: others.get(document.metadata.get("language", ""), general)(document)
