"""What a language model is asked for: a YAML file per prompt template, with its messages and its check's limits."""

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import PositiveInt

from pipeline.core.config import build, nearest
from pipeline.core.errors import ConfigError, RecipeError
from pipeline.core.installation import locate, places
from pipeline.environments.registry import check_names
from pipeline.language_model.config import Sampling

SAMPLE_DOMAINS = ("synthetic", "long_cot", "language_instructions", "code_instructions")
"""Domains of the training data that synthesis fills."""


@dataclass(frozen=True, kw_only=True)
class PromptTemplate(ABC):
    """What prompt templates of all kinds have: where samples go, how many are asked for, and the first message.

    The subclasses are the kinds; a file's key `kind` chooses one of them.
    """

    fields: ClassVar[dict[str, frozenset[str]]] = {"prompt": frozenset({"page"})}
    """Fields that are templates, with the names that each must have in braces."""
    optional_fields: ClassVar[frozenset[str]] = frozenset()
    """Names that all templates may have in braces beside those."""
    checked: ClassVar[str]
    """How samples are checked, in the words of the data disclosure."""

    domain: str
    """Domain that the samples go to."""
    description: str
    """What is made, for the disclosure."""
    count: PositiveInt
    """Seeds: pages, or problems."""
    prompt: str
    """The user's turn; `{page}` or `{problem}` is replaced, and `{{` stands for a brace."""
    sampling: Sampling = field(default_factory=Sampling)

    @property
    @abstractmethod
    def seed_data(self) -> str:
        """What the samples are made from, in the words of the data disclosure."""

    def __post_init__(self) -> None:
        if self.domain not in SAMPLE_DOMAINS:
            raise ValueError(f"domain is {self.domain}, {nearest(self.domain, SAMPLE_DOMAINS)}")
        for name, wanted in self.fields.items():
            found = _fields(name, getattr(self, name))
            if not wanted <= found <= wanted | self.optional_fields:
                raise ValueError(
                    f"{name} holds {sorted(found) or 'nothing'} in braces, put {sorted(wanted)}; write {{{{ for a brace"
                )


@dataclass(frozen=True, kw_only=True)
class PageTemplate(PromptTemplate):
    """A template of prompts about a page that curation kept."""

    pages: str
    """Domain of the stage `curate` that the pages come from."""
    minimum_words: int = 50
    """Shorter pages are no seeds."""
    maximum_words: int = 800
    """Longer pages are cut there, at the end of a line."""

    @property
    def seed_data(self) -> str:
        """The pages or problems that samples are made from, in the words of the data disclosure."""
        return f"pages of {self.pages}"


@dataclass(frozen=True, kw_only=True)
class Rephrase(PageTemplate):
    """Asks for the page in other words (WRAP, arXiv 2401.16380); kept if nothing is invented and little is copied."""

    checked: ClassVar[str] = "numbers, names, length and language were held against the page"

    kind: Literal["rephrase"]
    minimum_length: float = 0.3
    """Least words of the reply, as a share of the page's."""
    maximum_length: float = 1.5
    """Most words of the reply, as a share of the page's."""
    maximum_copied: float = 0.6
    """Most share of the reply's n-grams of five words that the page has as well."""
    minimum_numbers: float = 1.0
    """Least share of the reply's numbers that the page has as well."""
    minimum_names: float = 0.9
    """Least share of the words with a capital inside sentences that the page has as well."""


@dataclass(frozen=True, kw_only=True)
class QuestionAnswers(PageTemplate):
    """Asks for questions with answers; those whose answer the page has word for word go below it, as in Nemotron-CC."""

    checked: ClassVar[str] = "every answer stands in the page"

    kind: Literal["question_answers"]
    maximum_pairs: int = 10
    """Most pairs of a page that are kept (Nemotron-CC, arXiv 2412.02595: ten for 150 tokens)."""
    maximum_answer_words: int = 20
    """An answer that quotes more is a passage."""


@dataclass(frozen=True, kw_only=True)
class ChainOfThought(PromptTemplate):
    """Asks for reasoned solutions of problems with computed answers; kept if the verifier scores them 1."""

    fields: ClassVar[dict[str, frozenset[str]]] = {"prompt": frozenset({"problem"})}
    optional_fields: ClassVar[frozenset[str]] = frozenset({"example", "solution"})

    checked: ClassVar[str] = "every answer equals the computed one"

    kind: Literal["chain_of_thought"]
    environments: tuple[str, ...]
    """Whose problems, of the training split, are posed; an example of the same environment shows the form."""
    difficulty: int = 3
    """Difficulty of the problems, from 1 to 3."""
    minimum_words: int = 10
    """A reply with fewer is an answer without reasons."""

    @property
    def seed_data(self) -> str:
        """The pages or problems that samples are made from, in the words of the data disclosure."""
        return f"generated problems: {', '.join(self.environments)}"

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            check_names(self.environments)
        except ValueError as error:
            raise ValueError(f"environments: {error}") from None
        if not self.environments:
            raise ValueError("environments is empty, name at least one")
        if self.difficulty not in (1, 2, 3):
            raise ValueError(f"difficulty is {self.difficulty}, set 1, 2 or 3")


@dataclass(frozen=True, kw_only=True)
class CodeWithTests(PageTemplate):
    """Asks for programs with tests, kept if the tests pass.

    The model invents an instruction from a snippet of code (OSS-Instruct, arXiv 2312.02120), makes it harder in rounds
    (Evol-Instruct, arXiv 2304.12244), then solves each version.
    """

    fields: ClassVar[dict[str, frozenset[str]]] = {
        "prompt": frozenset({"page"}),
        "evolve_prompt": frozenset({"instruction"}),
        "solve_prompt": frozenset({"instruction"}),
    }

    checked: ClassVar[str] = "every program passes its tests, which fail without it"

    kind: Literal["code_with_tests"]
    evolve_prompt: str
    """Asks for a harder instruction; `{instruction}` is replaced."""
    solve_prompt: str
    """Asks for two blocks of Python: the solution, then its tests."""
    snippet_lines: int = 15
    """Lines of a page that one instruction is inspired by (OSS-Instruct: 1 to 15)."""
    rounds: int = 0
    """How often the instruction is made harder (Granite 3.0: 5). Each version that is an instruction is solved."""
    minimum_instruction_words: int = 5
    """A text with fewer is no instruction."""
    maximum_instruction_words: int = 250
    """A text with more is no instruction."""
    minimum_assertions: int = 3
    """Least number of assertions in the tests."""


TEMPLATE_TYPES: dict[str, type[PromptTemplate]] = {
    "rephrase": Rephrase,
    "question_answers": QuestionAnswers,
    "chain_of_thought": ChainOfThought,
    "code_with_tests": CodeWithTests,
}


def load_templates(folder: Path, names: Iterable[str] | None = None) -> dict[str, PromptTemplate]:
    """The prompt templates of a folder by name, in the order of their names; all, or those that are named.

    The folder is looked for in the working directory, then among the built-in ones.

    Raises:
        RecipeError: for a folder without prompts, a name without a file, or a prompt that cannot be used.
    """
    folder = locate(folder)
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not paths:
        raise RecipeError(
            f"prompts={folder}: no *.yaml there (looked in {places(folder)}), set prompts to a folder with them"
        )
    for name in names or ():
        if name not in paths:
            raise RecipeError(f"names: no {folder}/{name}.yaml, {nearest(name, paths)}")
    return {name: load_template(paths[name]) for name in sorted(names or paths)}


def load_template(path: Path) -> PromptTemplate:
    """Reads a prompt template from a YAML file and checks it.

    Raises:
        RecipeError: if it cannot be used; the line names file, key, value and what to do.
    """
    try:
        mapping: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(mapping, dict) or not all(isinstance(key, str) for key in mapping):
        raise RecipeError(f"{path}: not a mapping, start it with `kind:`")
    kind = mapping.get("kind")
    if kind not in TEMPLATE_TYPES:
        raise RecipeError(f"{path}: kind={kind}: unknown kind, {nearest(str(kind), TEMPLATE_TYPES)}")
    try:
        return build(TEMPLATE_TYPES[kind], mapping, str(path))
    except ConfigError as error:
        raise RecipeError(str(error)) from None


def _fields(name: str, template: str) -> frozenset[str]:
    try:
        return frozenset(field for _, field, _, _ in string.Formatter().parse(template) if field is not None)
    except ValueError as error:
        raise ValueError(f"{name}: {error}, write {{{{ for a brace") from None
