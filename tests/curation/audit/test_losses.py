"""A recipe that removes nearly everything says so, with the likely reason, and one that leaves nothing is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.curation.audit.funnel import report_lines
from pipeline.curation.recipes.recipe import load_recipe
from tests.curation.conftest import Curate
from tests.curation.readers.crawl_files import write_records
from tests.curation.recipe_files import DISCLOSURE, recipe, write_lines, write_recipe

ENGLISH = "The cat of house number {} sat with the dog, and they have a bone to give to that horse."
GERMAN = "Die Katze von Haus Nummer {} saß neben dem Hund, und beide warten vor der Tür auf die Leute."


def test_nothing_left_is_refused_with_the_likely_reason(tmp_path: Path, run_curate: Curate) -> None:
    path = write_lines(tmp_path / "a.jsonl", (ENGLISH.format(number) for number in range(400)))
    write_recipe(tmp_path / "recipes", recipe(path, [{"step": "url_filter", "bundled_lists": False}]))
    said = (
        r"technical: no document is left of 400; url_filter removed 400 of 400, 400 of them for no_url: .*metadata_keys"
    )
    with pytest.raises(DataError, match=said):
        run_curate(tmp_path / "recipes")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_source_without_documents_is_refused(tmp_path: Path, run_curate: Curate, content: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "a.jsonl", [{"step": "exact_dedup"}]))
    with pytest.raises(DataError, match=r"technical: (its sources gave no document|no document is left of 1)"):
        run_curate(tmp_path / "recipes", bad=1.0)


def test_nothing_left_by_a_step_that_compares_is_refused(tmp_path: Path, run_curate: Curate) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x = 1", "repository": "a", "path": "a.py"}) + "\n")
    write_recipe(tmp_path / "recipes", recipe(path, [{"step": "pack_repositories", "minimum_characters": 100}]))
    with pytest.raises(DataError, match="pack_repositories removed 1 of 1, 1 of them for short"):
        run_curate(tmp_path / "recipes")


def test_nearly_all_removed_is_said(tmp_path: Path, run_curate: Curate, caplog: pytest.LogCaptureFixture) -> None:
    texts = [GERMAN.format(number) for number in range(39)] + [ENGLISH.format(0)]
    path = write_lines(tmp_path / "a.jsonl", [*texts, *(ENGLISH.format(1),) * 3])
    steps: list[dict[str, Any]] = [{"step": "gopher_quality", "minimum_words": 5}, {"step": "exact_dedup"}]
    write_recipe(tmp_path / "recipes", recipe(path, steps))
    output, _ = run_curate(tmp_path / "recipes", "few")
    assert not caplog.messages
    path = write_lines(tmp_path / "a.jsonl", texts)
    output, _ = run_curate(tmp_path / "recipes", "nearly all")
    said = "gopher_quality removed 39 of 40, 39 of them for gopher_enough_stop_words: stop_words are those of another"
    assert [message.startswith(f"technical: {said}") for message in caplog.messages] == [True]
    assert any(said in line and "warning" in line for line in report_lines(output))


def test_duplicates_are_no_loss(tmp_path: Path, run_curate: Curate, caplog: pytest.LogCaptureFixture) -> None:
    path = write_lines(tmp_path / "a.jsonl", [ENGLISH] * 400)
    write_recipe(tmp_path / "recipes", recipe(path, [{"step": "exact_dedup"}]))
    output, result = run_curate(tmp_path / "recipes")
    assert result.counts == {"in": 400, "kept": 1, "removed": 399}
    assert not caplog.messages
    assert not any("warning" in line for line in report_lines(output))


GOPHER = {"step": "gopher_quality"}
LANGUAGE = {"step": "language", "keep": ["en", "de"]}
OWN_WORDS = {"stop_words": ["der", "die", "und"], "language": "deu"}


@pytest.mark.parametrize(
    ("languages", "steps", "refused"),
    [
        (["de"], [GOPHER], "de"),
        (["en"], [LANGUAGE, GOPHER], "de"),
        (["en", "de"], [LANGUAGE, {**GOPHER, "by_language": {"de": {"minimum_words": 5}}}], "de"),
        (["en", "de"], [LANGUAGE, {**GOPHER, "by_language": {"de": OWN_WORDS}}], None),
        (["de"], [{**GOPHER, **OWN_WORDS}], None),
        (["de"], [{**GOPHER, "minimum_stop_words": 0}], None),
        (["en", "de"], [{"step": "language", "keep": ["en"]}, GOPHER], None),
        (["en"], [GOPHER], None),
    ],
)
def test_stop_words_of_english_for_other_languages_are_refused(
    tmp_path: Path, languages: list[str], steps: list[dict[str, Any]], refused: str | None
) -> None:
    path = write_lines(tmp_path / "a.jsonl", [GERMAN])
    written = write_recipe(tmp_path / "recipes", recipe(path, steps, languages=languages))
    if refused is None:
        load_recipe(written)
        return
    with pytest.raises(
        RecipeError, match=rf"technical\.yaml: steps\[\d\]\.stop_words: .* in {refused}; set by_language"
    ):
        load_recipe(written)


def test_wet_files_read_as_pages_are_named(tmp_path: Path, run_curate: Curate) -> None:
    write_records(tmp_path / "in" / "a.warc.wet.gz", [{"body": ENGLISH.encode(), "type": "conversion"}] * 3)
    sources = [{"kind": "warc", "path": str(tmp_path / "in"), "pattern": "*.wet.gz", "disclosure": DISCLOSURE}]
    write_recipe(tmp_path / "recipes", recipe(tmp_path, [{"step": "resiliparse"}], sources=sources))
    with pytest.raises(DataError, match=r"resiliparse removed 3 of 3, 3 of them for wet_record: .*kind: wet"):
        run_curate(tmp_path / "recipes")
