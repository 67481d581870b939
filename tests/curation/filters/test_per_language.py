"""Settings of a step that depend on the language of a document."""

from typing import Any

import pytest
from datatrove.data import Document

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.curation.filters import filter_of
from pipeline.curation.recipes.steps.text import GopherQuality, Language

GERMAN = "Der Hund und der Kater sitzen vor der Tür und warten auf die Leute."
STEP: dict[str, Any] = {
    "step": "gopher_quality",
    "by_language": {"de": {"minimum_words": 5, "stop_words": ["der", "und"], "language": "deu"}},
}


def gopher(**changes: Any) -> GopherQuality:
    return build(GopherQuality, STEP | changes, "steps[1]")


@pytest.mark.parametrize(("language", "limit"), [("de", None), ("fr", 50), (None, 50)])
def test_a_document_is_held_to_the_settings_of_its_language(language: str | None, limit: int | None) -> None:
    metadata = {} if language is None else {"language": language}
    result = filter_of(gopher())(Document(text=GERMAN, id="0", metadata=metadata))
    assert (result.removal and result.removal.threshold) == limit


def test_what_is_not_named_for_a_language_is_as_for_all() -> None:
    step = gopher(maximum_words=70)
    assert (step.for_language("de").minimum_words, step.for_language("de").maximum_words) == (5, 70)
    assert step.for_language("fr") == gopher(maximum_words=70, by_language={})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimum_wrds": 3}, "minimum_wrds: unknown key, did you mean minimum_words"),
        ({"minimum_words": "few"}, "minimum_words='few'"),
    ],
)
def test_settings_of_a_language_are_checked_with_the_recipe(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"steps\[1\]: by_language\.de\.{message}"):
        gopher(by_language={"de": changes})


def test_a_score_for_a_language() -> None:
    settings = {"step": "language", "keep": ["de", "en"], "minimum_scores": {"de": 1.0}}
    document_filter = filter_of(build(Language, settings, ""))
    rejected = document_filter(Document(text=GERMAN, id="0")).removal
    assert rejected is not None
    assert (rejected.reason, rejected.threshold) == ("language_score", 1.0)
    assert document_filter(Document(text="The dog and the cat wait at the door of the house.", id="1")).removal is None
    with pytest.raises(ConfigError, match="minimum_scores names fr"):
        build(Language, settings | {"minimum_scores": {"fr": 0.5}}, "")
