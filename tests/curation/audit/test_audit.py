"""What curation tells of itself: rows, funnel, examples, disclosure; the same however the work was divided."""

import random
from pathlib import Path

import pytest

from pipeline.core.config import fingerprint
from pipeline.core.errors import RecipeError
from pipeline.core.files import read_json
from pipeline.curation.audit.examples import MAX_EXAMPLES
from pipeline.curation.audit.funnel import report_lines
from pipeline.curation.recipes.recipe import load_recipe, load_recipes
from pipeline.curation.text.documents import content_id, read_folder, read_rows
from tests.curation.conftest import Curate
from tests.curation.recipe_files import DISCLOSURE, hashes, recipe, write_lines, write_recipe
from tests.settings import stage_config

WORDS = ["the", "cat", "and", "dog", "sat", "with", "a", "bone", "that", "it", "would", "have", "to", "give"]
STEPS = [
    {"step": "language", "keep": ["en"], "minimum_score": 0.2},
    {"step": "gopher_quality", "minimum_words": 30},
    {"step": "exact_dedup"},
]


def texts(count: int) -> list[str]:
    """Sentences of 20 to 60 words."""
    draw = random.Random(0)
    return [f"Number {index}: {' '.join(draw.choices(WORDS, k=draw.randrange(20, 60)))}." for index in range(count)]


def test_examples_are_of_what_the_rules_decided(tmp_path: Path, run_curate: Curate) -> None:
    found = texts(60)
    write_recipe(tmp_path / "recipes", recipe(write_lines(tmp_path / "lines.jsonl", found), STEPS))
    output, _ = run_curate(tmp_path / "recipes")
    examples = read_json(output / "examples" / "technical.json")
    short = examples["removed"]["gopher_quality"]["gopher_short_doc"]
    rows = list(read_rows(output / "removed" / "technical" / "00000.jsonl.gz"))
    removed = sorted(row["id"] for row in rows if row["reason"] == "gopher_short_doc")
    assert len(removed) > MAX_EXAMPLES
    assert [row["id"] for row in short] == removed[:MAX_EXAMPLES]
    assert all(row["value"] < row["threshold"] == 30 for row in short)
    near = examples["near"]["gopher_quality"]["gopher_short_doc"]
    assert 30 <= near[0]["value"] <= near[1]["value"] <= near[2]["value"] <= 35
    ids = {content_id(text): text for text in found}
    assert all(row["excerpt"] in ids[row["id"]] for row in [*short, *near])


def test_every_removal_names_the_recipe_it_fell_to(tmp_path: Path, run_curate: Curate) -> None:
    path = write_recipe(tmp_path / "recipes", recipe(write_lines(tmp_path / "lines.jsonl", texts(30)), STEPS))
    output, _ = run_curate(tmp_path / "recipes")
    known = load_recipe(path)
    rows = list(read_rows(output / "removed" / "technical" / "00000.jsonl.gz"))
    assert rows
    assert {row["recipe"] for row in rows} == {known.fingerprint} == {fingerprint(known.as_json())}
    assert read_json(output / "report.json")["technical"]["recipe"] == known.fingerprint


def test_nothing_depends_on_how_the_work_is_divided(tmp_path: Path, run_curate: Curate) -> None:
    files = texts(60)
    for number in range(6):
        write_lines(tmp_path / "lines" / f"{number}.jsonl", files[number * 10 : number * 10 + 10])
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "lines", STEPS))
    one, _ = run_curate(tmp_path / "recipes", "one", tasks=1)
    five, _ = run_curate(tmp_path / "recipes", "five", tasks=5, workers=2)
    assert hashes(one) == hashes(five)


def test_the_disclosure_measures_what_was_kept_of_each_source(tmp_path: Path, run_curate: Curate) -> None:
    found = texts(40)
    sources = [
        {
            "kind": "jsonl",
            "path": str(write_lines(tmp_path / f"{name}.jsonl", part)),
            "disclosure": {**DISCLOSURE, "name": name, "languages": ["en", "de"]},
        }
        for name, part in (("first", found[:10]), ("second", found[10:]))
    ]
    write_recipe(tmp_path / "recipes", recipe(tmp_path, STEPS, sources=sources))
    output, _ = run_curate(tmp_path / "recipes")
    disclosed = read_json(output / "disclosure.json")
    kept = list(read_folder(output / "documents" / "technical"))
    assert [each["name"] for each in disclosed] == ["first", "second"]
    for each in disclosed:
        own = [document for document in kept if document.metadata["source"] == each["name"]]
        assert each["documents"] == len(own) > 0
        assert each["size_MB"] == pytest.approx(sum(len(document.text.encode()) for document in own) / 1e6)
        assert each["languages"] == ["en"]
        assert {"url", "date_obtained", "type", "data_provenance", "user_data", "synthetic", "seed_data"} <= set(each)
    assert sum(each["documents"] for each in disclosed) == len(kept)


def test_the_report_shows_the_funnel_and_nothing_a_terminal_obeys(tmp_path: Path, run_curate: Curate) -> None:
    hostile = f"\x1b[2J\x1b]0;owned\x07 {texts(1)[0]} and the cat with the dog"
    lines = write_lines(tmp_path / "lines.jsonl", [*texts(30), hostile, "The cat and \x1b[31m the dog."])
    write_recipe(tmp_path / "recipes", recipe(lines, STEPS))
    output, _ = run_curate(tmp_path / "recipes")
    shown = report_lines(output)
    assert all(line.isprintable() for line in shown)
    assert any("\\x1b[31m" in line for line in shown)
    funnel = read_json(output / "report.json")["technical"]["steps"]
    for step in funnel:
        numbers = [f"{step[name]:,}" for name in ("in", "kept", "removed", "edited", "characters_kept")]
        assert [step["step"], *numbers] in [line.split() for line in shown]
    assert any(line.strip().startswith("gopher_quality / gopher_short_doc: ") for line in shown)
    assert any(line.strip().startswith("nearly") for line in shown)


def test_no_excerpt_of_what_had_to_be_hidden(tmp_path: Path, run_curate: Curate) -> None:
    secret = "sarah.connor@cyberdyne-systems.com"
    lines = write_lines(tmp_path / "lines.jsonl", [f"{text} Write to {secret}." for text in texts(5)])
    write_recipe(tmp_path / "recipes", recipe(lines, [{"step": "pii"}, *STEPS]))
    output, _ = run_curate(tmp_path / "recipes")
    assert read_json(output / "report.json")["technical"]["steps"][1]["found"]
    assert secret not in "\n".join(report_lines(output))
    assert secret not in (output / "examples" / "technical.json").read_text()


def test_one_recipe_alone_comes_with_what_it_is_made_from(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines.jsonl", texts(3))
    high = {
        "sources": [{"kind": "domain", "domain": "common_crawl", "disclosure": DISCLOSURE}],
        "domain": "common_crawl_hq",
    }
    classifier = {"step": "quality_classifier", "positives": ["technical"], "keep_share": 0.5}
    for name in ("common_crawl", "technical", "code"):
        write_recipe(tmp_path / "recipes", recipe(lines, STEPS, domain=name))
    write_recipe(tmp_path / "recipes", {**recipe(lines, [classifier]), **high})

    def names(one: str | None) -> list[str]:
        return [each.domain for each in stage_config("curate", recipes=str(tmp_path / "recipes"), recipe=one).load()]

    assert names("code") == ["code"]
    assert names("common_crawl_hq") == ["common_crawl", "technical", "common_crawl_hq"]
    assert names(str(tmp_path / "recipes" / "code.yaml")) == ["code"]
    assert len(names(None)) == 4
    with pytest.raises(RecipeError, match=r"recipe=cod: .*did you mean code"):
        names("cod")
    with pytest.raises(RecipeError, match=r"nosuch\.yaml: cannot be read"):
        names("nosuch.yaml")
    # A recipe that cannot be used stands in the way of all, not of one other.
    (tmp_path / "recipes" / "technical.yaml").write_text("domain: technical")
    assert names("code") == ["code"]
    with pytest.raises(RecipeError, match=r"technical\.yaml"):
        names(None)


def test_sources_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    source = recipe(write_lines(tmp_path / "lines.jsonl", texts(3)), STEPS)["sources"][0]
    write_recipe(tmp_path / "recipes", recipe(tmp_path, STEPS, sources=[source, source]))
    with pytest.raises(RecipeError, match=r"sources\[1\]\.disclosure\.name=lines"):
        load_recipes(tmp_path / "recipes")
