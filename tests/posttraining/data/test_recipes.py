"""Recipes of post-training: one record for all sources, duplicates across them, the same result however it was made."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.context import StageContext
from pipeline.core.errors import DataError, RecipeError, Requeue
from pipeline.core.files import files_below
from pipeline.core.installation import BUILT_IN
from pipeline.curation.executors import run_tasks
from pipeline.environments.registry import ENVIRONMENT_NAMES
from pipeline.posttraining.common.row_recipes import load_row_recipes, missing_datasets
from pipeline.posttraining.data.jsonl import read_jsonl
from pipeline.posttraining.data.sft_data import run
from tests.posttraining.tiny import data_config

SYLLABLES = ("ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "tu")


def words(number: int, count: int) -> str:
    """So many words that other numbers have in another order."""
    draw = random.Random(number)
    return " ".join("".join(draw.choices(SYLLABLES, k=3)) for _ in range(count))


def question(number: int) -> str:
    return f"What is {words(number, 6)}?"


def reply(number: int) -> str:
    return f"It is {words(1_000 + number, 60)}."


def disclosure(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "url": "https://example.com", "date_obtained": "2026-11", "description": "Test",
        "source": "Example", "data_provenance": "written for a test", **more,
    }  # fmt: skip


def write_recipe(folder: Path, kind: str, domain: str, sources: Sequence[dict[str, Any]], **more: Any) -> None:
    path = folder / kind / f"{domain}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = {"domain": domain, "description": "Test", "licence": "MIT", "languages": ["en"], **more}
    path.write_text(yaml.safe_dump({**recipe, "sources": list(sources)}))


def write_rows(path: Path, rows: Sequence[Any], end: str = "") -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + end)
    return str(path)


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """Two domains: `first` in two files, of which one is cut; `second` with copies, and documents."""
    folder = tmp_path / "my recipes"
    rows = [{"question": question(n), "answer": reply(n)} for n in range(30)]
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "a.jsonl", rows[:20], end='{"question": "What is c')
    write_rows(tmp_path / "data" / "b.jsonl", [*rows[20:], {"question": "Alone?"}, "text"])
    near = reply(3).replace(" ", " so ", 1)
    write_rows(
        tmp_path / "second.jsonl",
        [
            {"q": question(2), "a": reply(2), "kind": "kept", "license": "CC0-1.0"},  # equal to one of the first
            {"q": question(3), "a": near, "kind": "kept"},
            {"q": question(40), "a": reply(40), "kind": "kept", "page": "A page.", "license": "CC0-1.0"},
            {"q": question(41), "a": reply(41), "kind": "other"},
        ],
    )
    columns = {"question": "prompt", "answer": "completion"}
    source = {"kind": "jsonl", "path": str(tmp_path / "data"), "columns": columns, "disclosure": disclosure("First")}
    write_recipe(folder, "conversations", "first", [source])
    write_recipe(
        folder, "conversations", "second",
        [{
            "kind": "jsonl", "path": str(tmp_path / "second.jsonl"), "where": {"kind": "kept"}, "licence": "CC-BY-4.0",
            "columns": {"q": "prompt", "a": "completion", "page": "documents"}, "disclosure": disclosure("Second"),
        }],
    )  # fmt: skip
    return folder


def config_of(recipes: Path, **changes: Any) -> Any:
    settings = {"recipes": str(recipes), "maximum_bad_share": 0.2, "max_conversation_characters": 4_000}
    return data_config(**{**settings, "preference_pairs": 0, "preference_validation_pairs": 0, **changes})


def test_records_of_all_sources_are_read_compared_and_accounted_for(recipes: Path, tmp_path: Path) -> None:
    result = run(StageContext.for_test("sft_data", config_of(recipes), {}, tmp_path / "stage"))
    folder = tmp_path / "stage" / "partial"
    kept = [*read_jsonl(folder / "train.jsonl"), *read_jsonl(folder / "validation.jsonl")]
    assert len(kept) == 31
    assert {row["domain"] for row in kept} == {"first", "second"}
    (second,) = [row for row in kept if row["domain"] == "second"]
    assert (second["source"], second["licence"], second["language"]) == ("Second", "CC0-1.0", "en")
    assert json.loads(second["documents"]) == [{"doc_id": 1, "text": "A page."}]
    assert [each["role"] for each in second["messages"]] == ["user", "assistant"]
    # The cut line has the number that an editor shows.
    aside = {(Path(row["file"]).name, row["row"]): row["reason"] for row in read_jsonl(folder / "quarantine.jsonl")}
    assert aside[("a.jsonl", 21)] == "not_json"
    assert aside[("b.jsonl", 11)].startswith("no conversation among")
    assert aside[("b.jsonl", 12)] == "not_an_object"
    copy, near = read_jsonl(folder / "removed.jsonl")
    assert (copy["step"], copy["reason"], copy["origin"][-9:]) == ("exact_dedup", "same_content", "000000001")
    assert copy["duplicate_of"] in {row["id"] for row in kept}
    assert (near["step"], near["reason"]) == ("minhash", "near_duplicate")
    assert 0.75 <= near["value"] < 1
    assert near["duplicate_of"] in {row["id"] for row in kept if row["domain"] == "first"}
    assert result.counts == {"in": 37, "kept": 31, "removed": 6}
    steps = {step["step"]: step for step in json.loads((folder / "report.json").read_text())["conversations"]["steps"]}
    assert steps["read"]["reasons"]["where_kind"] == 1
    assert [each["documents"] for each in json.loads((folder / "disclosure.json").read_text())] == [30, 1]


def test_the_number_of_workers_and_a_kill_change_nothing(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(StageContext.for_test("sft_data", config_of(recipes), {}, tmp_path / "whole"))
    config, done = config_of(recipes), []
    context = StageContext.for_test("sft_data", config, {}, tmp_path / "ended")
    real = run_tasks.TaskOfRank.run

    def counted(self: Any, data: Any = None, rank: int = 0, world_size: int = 1) -> Any:
        done.append((self.progress_folder.parent.name, rank))
        context.stop.raised = len(done) == 4  # in the middle of the second step
        return real(self, data, rank, world_size)

    monkeypatch.setattr(run_tasks.TaskOfRank, "run", counted)
    with pytest.raises(Requeue):
        run(context)
    context.stop.raised = False
    run(context)
    assert len(done) == len(set(done)), "a task was done twice"
    folder = tmp_path / "whole" / "partial"
    for path in files_below(folder):
        again = tmp_path / "ended" / "partial" / path.relative_to(folder)
        assert path.read_bytes() == again.read_bytes(), path.name


@pytest.mark.slow
def test_workers_give_the_same(recipes: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        config = config_of(recipes, workers=workers, near_duplicates=None)
        run(StageContext.for_test("sft_data", config, {}, tmp_path / str(workers)))
    for path in files_below(tmp_path / "1" / "partial"):
        again = tmp_path / "2" / "partial" / path.relative_to(tmp_path / "1" / "partial")
        assert path.read_bytes() == again.read_bytes(), path.name


def test_a_domain_gives_at_most_its_share(recipes: Path, tmp_path: Path) -> None:
    path = recipes / "conversations" / "first.yaml"
    path.write_text(path.read_text() + "share: 0.5\n")
    kept = {}
    for samples in (20, 30):
        folder = tmp_path / str(samples)
        run(StageContext.for_test("sft_data", config_of(recipes, samples=samples), {}, folder))
        rows = [row for name in ("train", "validation") for row in read_jsonl(folder / "partial" / f"{name}.jsonl")]
        kept[samples] = {row["id"] for row in rows}
        assert sum(row["domain"] == "first" for row in rows) == samples / 2
        removed = [row for row in read_jsonl(folder / "partial" / "removed.jsonl") if row["step"] == "share"]
        assert len(removed) == 30 - samples / 2
        assert all(row["value"] > row["threshold"] for row in removed)
    assert kept[20] < kept[30], "more samples are a superset of fewer"


def test_preferences_of_a_recipe(recipes: Path, tmp_path: Path) -> None:
    compared = {"context": [{"role": "user", "content": question(1)}], "response1": "Much.", "response2": "Little."}
    rows = [
        {**compared, "overall_preference": -2},
        {**compared, "overall_preference": 0},
        *({"prompt": question(n), "chosen": "Yes.", "rejected": "No.", "overall_preference": None} for n in range(20)),
    ]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    write_recipe(recipes, "preferences", "chat", [{"kind": "jsonl", "path": path, "disclosure": disclosure("Pairs")}])
    run(StageContext.for_test("sft_data", config_of(recipes), {}, tmp_path / "stage"))
    folder = tmp_path / "stage" / "partial"
    pairs = [*read_jsonl(folder / "preference_train.jsonl"), *read_jsonl(folder / "preference_validation.jsonl")]
    assert len(pairs) == 21
    (ordered,) = [pair for pair in pairs if pair["chosen"][0]["content"] == "Much."]
    assert ordered["rejected"][0]["content"] == "Little."
    aside = [row for row in read_jsonl(folder / "quarantine.jsonl") if row["file"] == path]
    assert [(row["row"], row["reason"][:23]) for row in aside] == [(2, "overall_preference is 0")]


def test_what_is_wrong_with_a_recipe_is_said_in_one_line(recipes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"First: 3 of 33 rows cannot be used \(.*a\.jsonl: row 21: not_json"):
        run(StageContext.for_test("sft_data", config_of(recipes, maximum_bad_share=0.01), {}, tmp_path / "stage"))
    with pytest.raises(RecipeError, match=r"recipes=nowhere: no such folder"):
        data_config(recipes="nowhere").data_fingerprint()
    path = recipes / "conversations" / "first.yaml"
    content = yaml.safe_load(path.read_text())
    for changes, why in (
        ({"sources": [{**content["sources"][0], "weight": 1}]}, r"sources\[0\]\.weight: unknown key"),
        ({"sources": [{**content["sources"][0], "kind": "warc"}]}, r"sources\[0\]\.kind=warc: unknown kind"),
        ({"sources": [{**content["sources"][0], "path": "gone"}]}, r"sources\[0\]\.path=gone: no such file"),
        ({"domain": "other"}, r"rename the file to other\.yaml"),
        ({"sources": content["sources"] * 2}, "an earlier source has this name"),
    ):
        path.write_text(yaml.safe_dump({**content, **changes}))
        with pytest.raises(RecipeError, match=why):
            config_of(recipes).check_data()


def test_the_recipes_that_come_with_the_package() -> None:
    folders = [path for path in (BUILT_IN / "data_recipes" / "posttraining").iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        shares = 0.0
        for rows in ("conversations", "preferences", "prompts"):
            for recipe, sources in load_row_recipes(str(folder), rows):
                shares += recipe.share or 0.0
                for source in sources:
                    if rows == "prompts":
                        assert source.settings.verifier, source.name
                if rows == "prompts":
                    assert recipe.domain in ENVIRONMENT_NAMES
        assert shares <= 1.0 + 1e-9


def test_data_sets_that_are_not_here_are_known() -> None:
    sources = [
        source for _, each in load_row_recipes("data_recipes/posttraining/granite", "prompts") for source in each
    ]
    assert "openai/gsm8k" in missing_datasets(sources)
