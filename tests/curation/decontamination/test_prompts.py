"""Prompts that copy a benchmark: equal ones, and those that cover half of an item in 8-grams."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.curation.decontamination.prompts import BenchmarkCopy, PromptIndex
from pipeline.curation.recipes.steps.contamination import Benchmark, PromptDecontamination
from tests.curation.recipe_files import write_lines

SHIPPED: dict[str, Any] = {"n_grams": 8, "minimum_coverage": 0.5}
ITEM = [f"word{number}" for number in range(40)]


def index(tmp_path: Path, *texts: str, **settings: Any) -> PromptIndex:
    path = write_lines(tmp_path / "benchmark.jsonl", texts)
    benchmark = Benchmark(name="numbers", path=str(path), text_keys=("text",))
    return PromptIndex(PromptDecontamination(benchmarks=(benchmark,), **{**SHIPPED, **settings}))


def paraphrase(kept: int) -> str:
    """A prompt with so many words of the item, ten in a row, other words between them."""
    parts = [" ".join(ITEM[start : min(start + 10, kept)]) for start in range(0, kept, 10)]
    return " instead of that ".join(parts)


@pytest.mark.parametrize(
    ("kept", "coverage"), [(40, 1.0), (30, 0.75), (20, 0.5), (19, 0.475), (17, None), (10, None), (7, None)]
)
def test_half_of_an_item_is_a_copy(tmp_path: Path, kept: int, coverage: float | None) -> None:
    copy = index(tmp_path, " ".join(ITEM), minimum_coverage=0.4).find_copy(paraphrase(kept))
    assert (copy.coverage if copy else None) == coverage
    copy = index(tmp_path, " ".join(ITEM)).find_copy(paraphrase(kept))
    assert (copy is not None) == (coverage is not None and coverage >= 0.5)


def test_less_than_eight_words_in_a_row_do_not_count(tmp_path: Path) -> None:
    broken = " x ".join(" ".join(ITEM[start : start + 7]) for start in range(0, 40, 7))
    assert index(tmp_path, " ".join(ITEM)).find_copy(broken) is None


def test_a_short_item_is_copied_by_an_equal_prompt_alone(tmp_path: Path) -> None:
    found = index(tmp_path, "What is 2 + 2?", "Yes")
    assert found.find_copy("what is 2 2") == BenchmarkCopy("numbers", 1.0, "what is 2 2")
    assert found.find_copy("YES!") == BenchmarkCopy("numbers", 1.0, "yes")
    assert found.find_copy("Tell me: what is 2 + 2?") is None
    assert found.find_copy("") is None
    assert found.find_copy("...") is None


def test_the_item_that_is_covered_most_is_named(tmp_path: Path) -> None:
    found = index(tmp_path, " ".join(ITEM), " ".join(ITEM[:12]))
    copy = found.find_copy("please " + " ".join(ITEM[:24]))
    assert copy is not None
    assert (copy.coverage, copy.excerpt) == (1.0, " ".join(ITEM[:24])[:200])


def test_without_benchmarks_nothing_is_a_copy() -> None:
    index = PromptIndex(PromptDecontamination(benchmarks=(), **SHIPPED))
    assert index.find_copy("any text of more than eight words is no copy of nothing") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"minimum_coverage": 0}, "minimum_coverage=0: set it above 0"), ({"n_grams": 1}, "n_grams=1: set 2 or more")],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(PromptDecontamination, {"benchmarks": (), **SHIPPED, **settings}, "decontamination")
