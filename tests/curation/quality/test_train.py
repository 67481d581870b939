"""A classifier made on the command line, then used by a recipe: scores, limits and GneissWeb's filter."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import BertPreTokenizer

from pipeline.core.errors import DataError, RecipeError
from pipeline.curation.quality.train import main, sample, texts_of
from pipeline.curation.recipes.recipe import load_recipe
from pipeline.curation.text.documents import content_id, read_folder, read_rows
from tests.curation.conftest import Curate
from tests.curation.recipe_files import hashes, recipe, write_lines, write_recipe
from tests.settings import stage_config

FORMAL = ["theorem", "proof", "lemma", "follows", "integral", "converges", "bounded", "sequence"]
CASUAL = ["click", "cheap", "offer", "buy", "now", "sale", "winner", "free"]
SMALL = ["--hash-bits", "12", "--epochs", "30"]


def texts(words: list[str], seed: int, count: int = 60) -> list[str]:
    """Texts of ten sentences of eight of these words."""
    draw = random.Random(seed)
    return [" ".join(" ".join(draw.choices(words, k=8)) + "." for _ in range(10)) for _ in range(count)]


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """A classifier of formal and casual words."""
    formal = write_lines(tmp_path / "formal.jsonl", texts(FORMAL, 0))
    casual = write_lines(tmp_path / "casual" / "lines.jsonl.gz", texts(CASUAL, 1)).parent
    output = tmp_path / "classifier"
    arguments = ["--class", f"cc={casual}", "--class", f"hq={formal}", "--positive", "hq", "--output", str(output)]
    assert main([*arguments, *SMALL]) == 0
    return output


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """One token per word or mark."""
    made = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = BertPreTokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def models(path: Path, *names: str, **changes: Any) -> dict[str, Any]:
    """A step with one classifier under several names."""
    files = [{"name": name, "path": str(path), "label": "hq", **changes} for name in names]
    return {"step": "classifier", "models": files}


@given(st.permutations(range(40)), st.integers(1, 30))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_the_sample_does_not_depend_on_the_order(order: list[int], count: int) -> None:
    all_texts = [f"text {number % 30}{' ' * (number // 30)}" for number in order]
    expected = sorted({content_id(text) for text in all_texts})[:count]
    found = sample(all_texts, count, 5)
    assert list(found) == expected
    assert set(found.values()) <= {"text "}


def test_the_card_tells_how_well_it_works(classifier: Path) -> None:
    card = json.loads((classifier / "card.json").read_text())
    assert card["score"] == "P(hq)"
    assert card["average_precision"] == 1
    assert sum(card["data"][part]["hq"]["documents"] for part in ("training", "held_out")) == 60


def test_scores_and_limits_in_a_recipe_whatever_the_tasks(
    classifier: Path, tokenizer: Path, tmp_path: Path, run_curate: Curate
) -> None:
    lines = write_lines(tmp_path / "web.jsonl", [*texts(FORMAL, 2, 20), *texts(CASUAL, 3, 20)])
    names = ("dclm", "cosmo", "science", "education", "technology", "medical")
    gneissweb = {"step": "gneissweb", "tokenizer": str(tokenizer), "quality_above": {"dclm": 0.5, "cosmo": 0.6}}
    write_recipe(tmp_path / "recipes", recipe(lines, [models(classifier, *names), gneissweb]))
    one, _ = run_curate(tmp_path / "recipes", "one", tasks=1)
    three, _ = run_curate(tmp_path / "recipes", "three", tasks=3)
    assert hashes(one / "documents") == hashes(three / "documents")
    assert hashes(one / "removed") == hashes(three / "removed")
    kept = list(read_folder(one / "documents" / "technical"))
    assert len(kept) == 20
    assert all(set(document.text.replace(".", "").split()) <= set(FORMAL) for document in kept)
    assert all(set(document.metadata["scores"]) == set(names) for document in kept)
    rows = list(read_rows(one / "removed" / "technical" / "00000.jsonl.gz"))
    assert len(rows) == 20
    assert all(row["reason"] == "score_dclm" and row["value"] <= row["threshold"] == 0.5 for row in rows)


def test_gneissweb_wants_scores_that_a_step_before_wrote(classifier: Path, tokenizer: Path, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "web.jsonl", ["text"])
    gneissweb = {"step": "gneissweb", "tokenizer": str(tokenizer), "categories": []}
    path = write_recipe(tmp_path / "recipes", recipe(lines, [models(classifier, "dclm"), gneissweb]))
    with pytest.raises(RecipeError, match="no score cosmo, put `step: classifier` before it"):
        load_recipe(path)
    path = write_recipe(tmp_path / "recipes", recipe(lines, [gneissweb, models(classifier, "dclm", "cosmo")]))
    with pytest.raises(RecipeError, match="no score dclm"):
        load_recipe(path)
    path = write_recipe(tmp_path / "recipes", recipe(lines, [models(classifier, "dclm", "cosmo"), gneissweb]))
    assert [step.step for step in load_recipe(path).steps] == ["classifier", "gneissweb"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "classifier", "models": []}, "models is empty"),
        (models(Path("a"), "x", "x"), "x twice"),
        (models(Path("model.pkl"), "x"), "path ends in .pkl"),
        (models(Path("a"), "x", label=""), "label is empty"),
        (models(Path("a"), "x", minimum_score=2), "minimum_score=2: set at most 1"),
        ({"step": "gneissweb", "tokenizer": "bigcode/starcoder"}, "set the path of a tokenizer.json"),
        ({"step": "extreme_tokenized", "tokenizer": "t.json", "at_least": 0.3}, "at_least is 0.3"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path: Path, step: dict[str, Any], message: str) -> None:
    lines = write_lines(tmp_path / "web.jsonl", ["text"])
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(tmp_path / "recipes", recipe(lines, [step])))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_classifier_is_another_fingerprint(classifier: Path, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "web.jsonl", ["text"])
    write_recipe(tmp_path / "recipes", recipe(lines, [models(classifier, "dclm")]))
    config = stage_config("curate", recipes=str(tmp_path / "recipes"))
    before = config.data_fingerprint()
    assert config.data_fingerprint() == before
    files = ["--class", f"cc={tmp_path / 'casual'}", "--class", f"hq={tmp_path / 'formal.jsonl'}"]
    assert main([*files, "--positive", "hq", "--output", str(classifier), *SMALL, "--seed", "1"]) == 0
    assert config.data_fingerprint() != before
    (classifier / "config.json").unlink()
    with pytest.raises(DataError, match="no file"):
        config.data_fingerprint()


def test_mistakes_on_the_command_line_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_lines(tmp_path / "good.jsonl", ["text"])
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "one"}\n{"title": "no text"}\n')
    empty = write_lines(tmp_path / "empty.jsonl.gz", [])
    output = ["--positive", "hq", "--output", str(tmp_path / "out")]
    for classes, message in (
        ([f"hq={good}"], "give --class at least twice"),
        ([f"hq={good}", f"hq={good}"], "give each label once"),
        ([f"hq={good}", f"cc={bad}"], "bad.jsonl:2: not a JSON object with a text"),
        ([f"hq={good}", f"cc={tmp_path / 'none.jsonl'}"], "none.jsonl: cannot be read"),
        ([f"hq={good}", f"cc={empty}"], "nothing to learn cc from"),
    ):
        arguments = [part for each in classes for part in ("--class", each)]
        assert main([*arguments, *output]) == 2
        shown = capsys.readouterr().err
        assert message in shown
        assert shown.count("\n") == 1
    assert main(["--class", f"hq={good}", "--class", f"cc={good}", *output, "--epochs", "0"]) == 2
    assert "epochs=0: set it above 0" in capsys.readouterr().err


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    whole = write_lines(tmp_path / "lines.jsonl.gz", texts(FORMAL, 0))
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read after line"):
        list(texts_of(whole))
