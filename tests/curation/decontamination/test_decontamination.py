"""Benchmarks in training text: planted items are found wherever and however they stand, and nothing else is."""

import json
import random
import unicodedata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow
import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.core.config import build
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.files import read_json
from pipeline.curation.audit.filter_result import FilterResult
from pipeline.curation.decontamination import ngram_index
from pipeline.curation.decontamination.benchmarks import read_items
from pipeline.curation.decontamination.ngram_index import NgramIndex
from pipeline.curation.filters import filter_of
from pipeline.curation.recipes.steps.contamination import Benchmark, Decontaminate
from pipeline.curation.text.documents import read_folder, read_rows
from pipeline.curation.text.normalized_words import normalized_words
from tests.clock import assert_linear_time
from tests.curation.conftest import Curate
from tests.curation.recipe_files import hashes, recipe, write_lines, write_recipe
from tests.settings import stage_config

QUESTION = (
    "A farmer keeps 17 hens and 3 ducks; every hen lays two eggs on Monday, but the ducks lay none. "
    "How many eggs does the farmer sell when 5 of them break?"
)
SHORT = "Name the capital of Burkina Faso"
ONE_WORD = "Paris"


def words(draw: random.Random, count: int) -> str:
    return " ".join("".join(draw.choices("abcdefghijkl", k=draw.randrange(2, 8))) for _ in range(count))


def benchmark(path: Path, texts: list[str], name: str = "farm") -> Benchmark:
    return Benchmark(name=name, path=str(write_lines(path, texts)), text_keys=("text",))


@pytest.fixture
def farm(tmp_path: Path) -> Benchmark:
    return benchmark(tmp_path / "farm.jsonl", [QUESTION, SHORT, ONE_WORD])


def judged(text: str, *benchmarks: Benchmark, **settings: Any) -> tuple[FilterResult, str]:
    document = Document(text=text, id="0", metadata={"origin": "test"})
    result = filter_of(Decontaminate(step="decontaminate", benchmarks=benchmarks, **settings))(document)
    return result, document.text


CHANGED = {
    "verbatim": QUESTION,
    "upper case": QUESTION.upper(),
    "other punctuation": QUESTION.replace(";", " --").replace(",", "").replace(".", "!"),
    "other white space": QUESTION.replace(" ", "\n\n\t"),
    "one word a line with marks": "\n> ".join(QUESTION.split()),
    "fullwidth letters": "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in QUESTION),
    "soft hyphens": QUESTION.replace("farmer", "far\u00admer").replace("ducks", "du\u200bcks"),
    "thirteen words of it": " ".join(QUESTION.split()[5:18]),
    "a word changed, thirteen left": QUESTION.replace("farmer sell", "baker sell").replace("17", "18"),
    "short item in a sentence": f"Please, {SHORT.lower()}!",
}


@pytest.mark.parametrize("planted", CHANGED.values(), ids=CHANGED.keys())
@pytest.mark.parametrize("before", ["", "nothing else ", "x " * 9_999, "日本語é " * 3_333])
def test_a_planted_item_is_found(farm: Benchmark, planted: str, before: str) -> None:
    result, _ = judged(f"{before}{planted} and more", farm)
    assert result.removal is not None
    assert result.removal.reason == "benchmark_farm"
    assert result.removal.value is not None
    assert result.removal.value > 0
    assert result.counts["farm_documents"] == 1
    (match,) = result.matches
    assert match["benchmark"] == "farm"
    assert normalized_words(str(match["text"]))[0][0] in normalized_words(planted)[0]


@pytest.mark.parametrize(
    "text",
    [
        " ".join(QUESTION.split()[5:17]),
        QUESTION.replace("hens", "geese").replace("every", "each").replace("Monday", "Friday").replace("many", "few"),
        "Name the capital of Mali, or of Burkina Faso",
        "I have seen Paris in spring.",
        "",
        "?!",
    ],
)
def test_less_than_an_n_gram_is_no_match(farm: Benchmark, text: str) -> None:
    result, after = judged(text, farm)
    assert (result.removal, result.counts, result.matches, after) == (None, {}, (), text)


def test_a_clean_corpus_has_no_match(tmp_path: Path) -> None:
    draw = random.Random(0)
    texts = [words(draw, 60) for _ in range(300)]
    document_filter = filter_of(
        Decontaminate(step="decontaminate", benchmarks=(benchmark(tmp_path / "b.jsonl", texts),))
    )
    for _ in range(100):
        document = Document(text=words(draw, 1_000), id="0", metadata={"origin": "test"})
        assert document_filter(document) == FilterResult()


def test_a_span_is_cut_out_with_its_surroundings(farm: Benchmark) -> None:
    before, after = "one two three " * 40, "four five six " * 40
    result, text = judged(f"{before}{QUESTION} {after}", farm, remove="span", window_characters=30)
    assert result.removal is None
    assert text.startswith("one two three one")
    assert text.endswith("five six")
    assert "farmer" not in text
    assert len(text) == pytest.approx(len(before) + len(after) - 60, abs=4)
    result, _ = judged(QUESTION, farm, remove="span")
    assert result.removal is not None
    assert result.removal.reason == "nothing_left"
    many = ("filler " * 100 + QUESTION + " ") * 4
    result, _ = judged(many, farm, remove="span", maximum_spans=3)
    assert result.removal is not None
    assert (result.removal.value, result.removal.threshold) == (4, 3)


def test_what_meets_after_a_cut_is_cut_as_well(farm: Benchmark) -> None:
    middle = len(QUESTION.split()) // 2
    halves = " ".join(QUESTION.split()[:middle]), " ".join(QUESTION.split()[middle:])
    text = f"start {halves[0]} {SHORT} {halves[1].rstrip('?')} end"
    result, after = judged(text, farm, remove="span", window_characters=0, n_grams=20)
    assert result.removal is None
    assert after == "start\n\nend"


def test_matches_are_counted_for_each_benchmark(tmp_path: Path) -> None:
    draw = random.Random(1)
    one, two, both = words(draw, 20), words(draw, 14), words(draw, 13)
    first = benchmark(tmp_path / "one.jsonl", [one, both], "one")
    second = benchmark(tmp_path / "two.jsonl", [two, both], "two")
    result, _ = judged(f"{one} | {two} | {both} | {both}", first, second)
    assert result.counts == {"one_documents": 1, "one_runs": 10, "two_documents": 1, "two_runs": 4}
    assert result.removal is not None
    assert (result.removal.reason, result.removal.value) == ("benchmark_one", 10)
    assert [match["benchmark"] for match in result.matches] == ["one", "two", "one", "two", "one", "two"]


def test_equal_hashes_alone_make_no_match(farm: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    def same(numbers: np.ndarray, length: int) -> np.ndarray:
        return np.zeros(max(0, len(numbers) - length + 1), dtype=np.uint64)

    monkeypatch.setattr(ngram_index, "ngram_hashes", same)
    index = NgramIndex([[QUESTION, SHORT]], 13)
    shuffled = QUESTION.split()
    random.Random(0).shuffle(shuffled)
    assert not list(index.matches(normalized_words(" ".join(shuffled))[0]))
    assert len(list(index.matches(normalized_words(QUESTION)[0]))) == len(normalized_words(QUESTION)[0]) - 12


LETTERS = st.text("abc ,.-\nÄé日本ﬁ①", max_size=60)


@given(st.lists(LETTERS, min_size=1, max_size=4), LETTERS, st.integers(2, 4))
def test_matches_are_those_of_a_plain_search(texts: list[str], text: str, n_grams: int) -> None:
    benchmarks = [[each] for each in texts]
    got = normalized_words(text)[0]
    wanted = set()
    for owner, each in enumerate(texts):
        item = normalized_words(each)[0]
        length = min(len(item), n_grams)
        grams = {tuple(item[at : at + length]) for at in range(len(item) - length + 1)} if length else set()
        wanted |= {(at, length, owner) for at in range(len(got)) if tuple(got[at : at + length]) in grams}
    index = NgramIndex(benchmarks, n_grams)
    found = {
        (match.first, match.length, int(index.owners[index.item_at(position)]))
        for match in index.matches(got)
        for position in match.positions
    }
    assert found == wanted


@given(st.text() | LETTERS, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_words_do_not_depend_on_the_form_of_unicode(text: str, form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> None:
    got, spans = normalized_words(text)
    assert len(got) == len(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    if form in ("NFC", "NFD"):
        assert normalized_words(unicodedata.normalize(form, text))[0] == got
    if text.isascii():
        assert [text[start:end].lower() for start, end in spans] == got


@given(LETTERS, LETTERS, LETTERS, st.integers(0, 3))
def test_after_cutting_nothing_matches(
    tmp_path_factory: pytest.TempPathFactory, a: str, b: str, c: str, w: int
) -> None:
    path = tmp_path_factory.mktemp("b") / "b.jsonl"
    source = benchmark(path, [f"{b} a b c", "a b"])
    step = Decontaminate(
        step="decontaminate", benchmarks=(source,), n_grams=3, minimum_distinct_words=1, remove="span",
        window_characters=w, maximum_spans=1_000,
    )  # fmt: skip
    document = Document(text=f"{a} {b} a b {c}", id="0", metadata={"origin": "test"})
    document_filter = filter_of(step)
    if document_filter(document).removal is None:
        assert document_filter(document) == FilterResult()


@pytest.mark.parametrize("text", ["a" * 10**6, "é" * 10**6, "e\u0301" * 300_000, "\u0301" * 300_000, "日" * 10**6,
                                  "a" + "\u0301\u0327" * 150_000,
                                  "name the capital of " * 50_000, f"{SHORT} " * 30_000, "\U000e0001" * 300_000],
                         ids=lambda text: repr(text[:4]))  # fmt: skip
def test_hostile_text_takes_linear_time(farm: Benchmark, text: str) -> None:
    assert_linear_time(lambda part: judged(part, farm, remove="span"), text, cpu_seconds=15)


def test_files_are_read_or_named(tmp_path: Path) -> None:
    rows = [{"q": "one two", "choices": ["a", "b"]}, {"q": "three", "choices": []}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "b.parquet")
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("b.parquet", "b.jsonl"):
        source = Benchmark(name="b", path=str(tmp_path / name), text_keys=("q", "choices"))
        assert list(read_items(source)) == ["one two", "a", "b", "three"]
        with pytest.raises(DataError, match="set text_keys of b"):
            list(read_items(Benchmark(name="b", path=str(tmp_path / name), text_keys=("question",))))
    (tmp_path / "bad.jsonl").write_text("{")
    (tmp_path / "bad.parquet").write_text("PAR1")
    (tmp_path / "bad.jsonl.gz").write_text("no gzip")
    for name in ("bad.jsonl", "bad.parquet", "bad.jsonl.gz"):
        with pytest.raises(DataError, match=name) as caught:
            list(read_items(Benchmark(name="b", path=str(tmp_path / name), text_keys=("q",))))
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="no item has enough words"):
        judged("text", benchmark(tmp_path / "few.jsonl", ["one two"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"benchmarks": []}, "benchmarks is empty"),
        ({"benchmarks": [{"name": "a", "path": "a.csv", "text_keys": ["q"]}]}, "set a file named"),
        ({"benchmarks": [{"name": "a", "path": "a.jsonl", "text_keys": []}]}, "text_keys is empty"),
        ({"benchmarks": [{"name": "a", "path": "a.jsonl", "text_keys": ["q"]}] * 2}, "names a twice"),
        ({"benchmarks": [{"name": "a", "path": "a.jsonl", "text_keys": ["q"]}], "n_grams": 1}, "set 2 or more"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Decontaminate, {"step": "decontaminate", **settings}, "steps[0]")


def stage(tmp_path: Path, remove: str) -> Path:
    draw = random.Random(2)
    path = write_lines(tmp_path / "farm.jsonl", [QUESTION])
    texts = [words(draw, 200) for _ in range(12)]
    texts[3] += f" {QUESTION} " + words(draw, 100)
    write_lines(tmp_path / "in" / "a.jsonl", texts[:5])
    write_lines(tmp_path / "in" / "b.jsonl", texts[5:])
    named = {"name": "farm", "path": str(path), "text_keys": ["text"]}
    steps = [
        {"step": "decontaminate", "benchmarks": [named], "remove": remove},
        {"step": "pii"},
        {"step": "secrets"},
        {"step": "exact_dedup"},
    ]
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "in", steps))
    return tmp_path / "recipes"


@pytest.mark.parametrize("remove", ["document", "span"])
def test_the_stage_reports_matches_however_the_work_is_divided(tmp_path: Path, run_curate: Curate, remove: str) -> None:
    recipes = stage(tmp_path, remove)
    output, result = run_curate(recipes, "one", tasks=1)
    assert result.counts == {"in": 12, "kept": 11 + (remove == "span"), "removed": int(remove == "document")}
    funnel = {step["step"]: step for step in read_json(output / "report.json")["technical"]["steps"]}
    runs = len(normalized_words(QUESTION)[0]) - 12
    assert funnel["decontaminate"]["found"] == {"farm_documents": 1, "farm_runs": runs}
    assert funnel["decontaminate"]["edited"] == (remove == "span")
    assert funnel["pii"]["found"] == {}
    (match,) = read_rows(output / "matches" / "technical" / "00000.jsonl.gz")
    assert (match["benchmark"], match["step"], match["origin"]) == ("farm", "decontaminate", "a.jsonl#000000003")
    assert str(match["text"]).startswith("A farmer keeps 17 hens")
    assert not any("farmer" in document.text for document in read_folder(output / "documents" / "technical"))
    assert hashes(run_curate(recipes, "three", tasks=3)[0]) == hashes(output)


def test_the_benchmark_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    config = stage_config("curate", recipes=str(stage(tmp_path, "document")))
    before = config.data_fingerprint()
    assert config.data_fingerprint() == before
    # As long as before: the content counts, not the size.
    write_lines(tmp_path / "farm.jsonl", [QUESTION.replace("hens", "cows")])
    assert config.data_fingerprint() != before
    (tmp_path / "farm.jsonl").unlink()
    with pytest.raises(DataError, match=r"benchmark farm: no file .*farm\.jsonl"):
        config.data_fingerprint()
