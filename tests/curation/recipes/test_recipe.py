"""A recipe that cannot be used gives an error of one line that says where and what to do."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import files
from pipeline.core.domains import PUBLISHED
from pipeline.core.errors import RecipeError, UserError
from pipeline.curation.recipes.recipe import load_recipe, load_recipes
from pipeline.curation.text.vocabulary import word_tokenizer
from tests import ROOT
from tests.curation.recipe_files import DISCLOSURE, recipe, write_lines, write_recipe
from tests.settings import stage_config

EXACT: list[dict[str, Any]] = [{"step": "exact_dedup"}]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "lines.jsonl", ["a text"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [{"step": "exact_dedupe"}]}, "did you mean exact_dedup?"),
        ({"steps": [{"step": "minhash", "bucket": 3}]}, "did you mean buckets?"),
        ({"steps": [{"threshold": 3}]}, "unknown step"),
        ({"steps": [{"step": "minhash", "n_grams": "many"}]}, "steps[0].n_grams='many'"),
        ({"steps": [{"step": "minhash", "n_grams": 0}]}, "steps[0].n_grams=0: set it above 0"),
        ({"steps": [{"step": "substring_dedup", "minimum_units": 1}]}, "steps[0].minimum_units=1: set 2 or more"),
        ({"steps": [{"step": "language", "keep": ["en"], "minimum_score": 2}]}, "minimum_score=2: set at most 1"),
        ({"steps": [{"step": "language", "keep": []}]}, "steps[0].keep is empty, set it"),
        ({"steps": [{"step": "exact_dedup"}, {"step": "length"}]}, "one document, then exact_dedup"),
        ({"steps": EXACT * 2}, "exact_dedup twice"),
        ({"steps": [{"step": "trafilatura"}]}, "remove `step: trafilatura`"),
        ({"steps": [{"step": "quality_classifier", "positives": ["math"]}]}, "source of kind domain"),
        ({"domain": "mean"}, "what another metric is called, name the domain otherwise"),
        ({"domain": "../code"}, "letters, digits, '_' and '-', and begins with a letter"),
        ({"licences": "MIT"}, "did you mean licence?"),
        ({"sources": []}, "sources is empty"),
        ({"sources": [{"kind": "json", "path": "."}]}, "did you mean jsonl?"),
        (
            {"sources": [{"kind": "jsonl", "path": "/no/where", "disclosure": DISCLOSURE}]},
            "path=/no/where: no such",
        ),
        (
            {
                "sources": [
                    {
                        "kind": "embedded",
                        "generator": "readmes",
                        "packages": ["nix"],
                        "disclosure": DISCLOSURE,
                    }
                ]
            },
            "nix is not installed",
        ),
    ],
)
def test_a_mistake_is_named_with_its_remedy(lines: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write_recipe(tmp_path / "recipes", {**recipe(lines, EXACT), **changes})
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    text = str(caught.value)
    assert message in text
    assert str(path) in text
    assert "\n" not in text


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "math.yaml"
    path.write_text("domain: [")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(path)


def test_missing_folder_and_missing_domain(lines: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such folder"):
        load_recipes(tmp_path / "nowhere")
    write_recipe(tmp_path / "recipes", recipe(lines, EXACT))
    with pytest.raises(RecipeError, match="did you mean technical"):
        load_recipes(tmp_path / "recipes", ("technica",))


def test_a_changed_source_changes_the_fingerprint(lines: Path, tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipes", recipe(lines, EXACT))
    config = stage_config("curate", recipes=str(tmp_path / "recipes"))
    before = config.data_fingerprint()
    assert config.data_fingerprint() == before
    write_lines(lines, ["a text", "another"])
    assert config.data_fingerprint() != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (b"gone.jsonl", r"gone\.jsonl: a link to what is not there, mend it or leave it out"),
        (b"loop.jsonl", r"loop\.jsonl: a link to what is not there, mend it or leave it out"),
        (b"na\xffme.jsonl", r"'.*na\\udcffme\.jsonl': the file's name is not UTF-8, rename it"),
    ],
)
def test_a_file_that_cannot_be_opened_or_named_is_one_line(
    lines: Path, tmp_path: Path, name: bytes, message: str
) -> None:
    folder = tmp_path / "texts"
    write_lines(folder / "a.jsonl", ["a text"])
    path = folder / os.fsdecode(name)
    if b"me" in name:
        write_lines(path, ["a text"])
    else:
        path.symlink_to(path.name if b"loop" in name else "nowhere")
    write_recipe(tmp_path / "recipes", recipe(folder, EXACT))
    with pytest.raises(UserError, match=message):
        stage_config("curate", recipes=str(tmp_path / "recipes")).data_fingerprint()


@pytest.mark.parametrize("hashed_bytes", [files.HASHED_BYTES, 0])
def test_an_edit_that_keeps_the_size_changes_the_fingerprint(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed_bytes: int
) -> None:
    """A small file is known by its content, so that a copy is the same; a large one by the time of its last change."""
    monkeypatch.setattr(files, "HASHED_BYTES", hashed_bytes)
    write_recipe(tmp_path / "recipes", recipe(lines, EXACT))
    config = stage_config("curate", recipes=str(tmp_path / "recipes"))
    write_lines(lines, ["a text"])
    before = config.data_fingerprint()
    write_lines(lines, ["A text"])
    assert config.data_fingerprint() != before
    write_lines(lines, ["a text"])
    assert (config.data_fingerprint() == before) == bool(hashed_bytes)


@pytest.mark.parametrize("folder", ["smoke", "granite"])
def test_the_recipes_of_the_project_are_valid(folder: str) -> None:
    recipes = load_recipes(ROOT / "data_recipes" / folder)
    names = {each.domain for each in recipes}
    # At the size of a test the other four are made by the stage `synthesize`.
    synthesized = {"synthetic", "long_cot", "language_instructions", "code_instructions"}
    assert names == (set(PUBLISHED) if folder == "granite" else set(PUBLISHED) - synthesized)


def test_a_language_without_its_library_is_named_with_what_to_install() -> None:
    for language, said in (("xx", "set a code such as"), ("tha", "is not installed")):
        with pytest.raises(RecipeError, match=f"language={language}:") as error:
            word_tokenizer(language)
        assert said in str(error.value)
