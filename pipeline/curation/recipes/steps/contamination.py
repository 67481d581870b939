"""The step that removes benchmarks from training text, and the settings that keep them out of prompts."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from pipeline.curation.recipes.steps.base import Scope, Step

FORMATS = (".jsonl", ".jsonl.gz", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """An evaluation set in a local file."""

    name: Annotated[str, Field(min_length=1)]
    """The benchmark's name in removal reasons and in the report."""
    path: str
    """JSON lines (plain or gzip) or Parquet. A relative path is taken from the working directory."""
    text_keys: Annotated[tuple[str, ...], Field(min_length=1)]
    """Keys with a text or a list of texts, such as question and answer: each text is an item to look for."""

    def __post_init__(self) -> None:
        if not PurePath(self.path).name.endswith(FORMATS):
            raise ValueError(f"path is {self.path}, set a file named {', '.join(FORMATS)}")


NGramLength = Annotated[int, Field(ge=2)]
"""Words in a row that a text must share with a benchmark."""


def _check_names(benchmarks: tuple[Benchmark, ...]) -> None:
    names = [benchmark.name for benchmark in benchmarks]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"benchmarks names {name} twice, give each its own name")


@dataclass(frozen=True, kw_only=True)
class Decontaminate(Step):
    """Removes documents, or the passages of them, that share an n-gram with a benchmark (Brown et al. 2020, app. C)."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "decontamination:decontamination_filter"
    step: Literal["decontaminate"]
    benchmarks: Annotated[tuple[Benchmark, ...], Field(min_length=1)]
    """Evaluation sets that must not be trained on."""
    n_grams: NGramLength = 13
    """Words in a row that make a match (GPT-3, FineMath and Qwen2.5-Math: 13). A shorter item matches as a whole."""
    minimum_distinct_words: PositiveInt = 4
    """Items with fewer distinct words are too common to be looked for (allenai/decon: 4)."""
    remove: Literal["span", "document"] = "document"
    """`document` rejects a document with a match; `span` cuts the match and its surroundings out of it."""
    window_characters: NonNegativeInt = 200
    """With `span`: characters cut out on each side of a match (GPT-3: 200)."""
    maximum_spans: PositiveInt = 10
    """With `span`: a document with more places to cut out is rejected (GPT-3: 10)."""

    def __post_init__(self) -> None:
        _check_names(self.benchmarks)


@dataclass(frozen=True, kw_only=True)
class PromptDecontamination:
    """Settings that keep benchmarks out of the prompts of SFT and RL."""

    benchmarks: tuple[Benchmark, ...]
    """Evaluation sets that must not be trained on; empty checks nothing."""
    n_grams: NGramLength
    """Words in a row that a prompt and an item must share to count."""
    minimum_coverage: Annotated[float, Field(gt=0, le=1)]
    """Share of an item's words in shared n-grams from which a prompt counts as a copy of it."""

    def __post_init__(self) -> None:
        _check_names(self.benchmarks)
