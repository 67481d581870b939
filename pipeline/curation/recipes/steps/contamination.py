"""The step that takes benchmarks out of training text, and the settings that do so for prompts."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.scope import Scope

FORMATS = (".jsonl", ".jsonl.gz", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """An evaluation set in a local file."""

    name: str
    """The name that the report uses."""
    path: str
    """JSON lines (plain or gzip) or Parquet. A relative path is taken from the working directory."""
    text_keys: tuple[str, ...]
    """Keys with text, or lists of texts: each value of each row is an item to look for."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name is empty, set the name that the report shall use")
        if not self.text_keys:
            raise ValueError("text_keys is empty, set the keys that hold questions and answers")
        if not PurePath(self.path).name.endswith(FORMATS):
            raise ValueError(f"path is {self.path}, set a file named {', '.join(FORMATS)}")


def _check(benchmarks: tuple[Benchmark, ...], n_grams: int) -> None:
    names = [benchmark.name for benchmark in benchmarks]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"benchmarks names {name} twice, give each its own name")
    if n_grams < 2:
        raise ValueError(f"n_grams is {n_grams}, set 2 or more")


@dataclass(frozen=True, kw_only=True)
class Decontaminate:
    """Finds documents that share a run of words with a benchmark (Brown et al. 2020, appendix C)."""

    scope: ClassVar[Scope] = "document"
    step: Literal["decontaminate"]
    benchmarks: tuple[Benchmark, ...]
    """What must not be trained on."""
    n_grams: int = 13
    """Words in a row that make a match (GPT-3, FineMath and Qwen2.5-Math: 13). A shorter item matches whole."""
    minimum_distinct_words: int = 4
    """Items with fewer distinct words say too little to be looked for (allenai/decon: 4)."""
    remove: Literal["span", "document"] = "document"
    """`document` refuses a document with a match; `span` takes the match and its surroundings out of it."""
    window_characters: int = 200
    """With `span`: characters taken out on each side of a match (GPT-3: 200)."""
    maximum_spans: int = 10
    """With `span`: a document with more places to take out is refused (GPT-3: 10)."""

    def __post_init__(self) -> None:
        if not self.benchmarks:
            raise ValueError("benchmarks is empty, name at least one file or leave the step out")
        _check(self.benchmarks, self.n_grams)
        for name, least in (("minimum_distinct_words", 1), ("window_characters", 0), ("maximum_spans", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, set {least} or more")


@dataclass(frozen=True, kw_only=True)
class PromptDecontamination:
    """What keeps benchmarks out of the prompts of SFT and RL."""

    benchmarks: tuple[Benchmark, ...]
    """What must not be trained on; empty looks for nothing."""
    n_grams: int
    """Words in a row that are shared."""
    minimum_coverage: float
    """Share of an item's words in such runs from which a prompt is a copy."""

    def __post_init__(self) -> None:
        _check(self.benchmarks, self.n_grams)
        if not 0 < self.minimum_coverage <= 1:
            raise ValueError(f"minimum_coverage is {self.minimum_coverage}, set it above 0 and at most 1")
