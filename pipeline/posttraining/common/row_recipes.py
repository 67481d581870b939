"""Recipes of post-training: which data sets conversations, preferences and prompts come from, in curation's terms.

A folder of recipes has a folder for each of the three (`ROWS`), with a YAML file per domain there. A source is one of
curation's (`pipeline.curation.readers.sources`, with its keys and its disclosure) or `kind: environments`, the built-in
generators; beside those keys it takes the ones of `RowSettings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from pipeline.core.config import IF_SET, Share, relevant
from pipeline.core.domains import check_name
from pipeline.core.errors import RecipeError
from pipeline.core.installation import locate, places
from pipeline.curation.readers.source_files import check_source, describe
from pipeline.curation.readers.sources import SOURCES, Columns, Disclosure, FileSource, HuggingFaceSource, Source
from pipeline.curation.recipes.recipe import build_named, build_part, read_mapping, recipe_files

Rows = Literal["conversations", "preferences", "prompts"]
"""What the rows of a recipe are, and the name of its folder."""
UNREADABLE = ("embedded", "text", "warc", "wet", "html", "domain")
"""Curation's kinds of sources that have no rows with columns."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentSource:
    """Problems of the built-in generators, as many and of such kinds as the stage's settings say."""

    kind: Literal["environments"]
    disclosure: Disclosure
    shards: PositiveInt = 1
    """Parts that tasks generate side by side, each from a seed of its own."""


ROW_SOURCES: dict[str, type[Source] | type[EnvironmentSource]] = {
    **{name: each for name, each in SOURCES.items() if name not in UNREADABLE},
    "environments": EnvironmentSource,
}


@dataclass(frozen=True, kw_only=True)
class RowSettings:
    """What a source of post-training says beside where it is."""

    licence: str | None = None
    """License of the data set, where it is not that of the whole recipe. A row with a column `license` has its own."""
    verifier: str | None = None
    """Prompts: the verifier of rows that name none."""
    answer_after: str | None = None
    """The answer is what stands behind the last such mark, as behind GSM8K's `####`; a row without it is bad."""


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """A source of a recipe together with what is known of all its rows."""

    reads: Any
    """The source itself: one of `ROW_SOURCES`."""
    settings: RowSettings
    domain: str
    licence: str

    @property
    def name(self) -> str:
        """What rows, audit and disclosure call it."""
        return self.reads.disclosure.name

    @property
    def is_built_in(self) -> bool:
        """Whether its rows come from the generators of this package."""
        return isinstance(self.reads, EnvironmentSource)

    @property
    def language(self) -> str:
        """The language of its rows if they have one in common, else nothing."""
        languages = self.reads.disclosure.languages
        return languages[0] if len(languages) == 1 else ""


@dataclass(frozen=True, kw_only=True)
class RowRecipe:
    """One domain of post-training; the fields are the keys of the YAML file."""

    domain: str
    """Its name, that of the file; for prompts that of an environment, whose share of a stage's prompts it gets."""
    description: str
    """What the domain holds, for the report and the model card."""
    licence: str
    """The license or licenses of the sources, as free text."""
    languages: tuple[str, ...]
    """ISO 639-1 codes of the languages in it."""
    share: Share | None = field(default=None, metadata=IF_SET)
    """Conversations: most of the stage's `samples` that the domain gives; null gives all it has."""
    sources: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]
    """In the order of preference: of duplicates the one from the first source stays."""

    def __post_init__(self) -> None:
        check_name(self.domain)

    def as_json(self) -> dict[str, Any]:
        """The recipe as plain values, for a stage's fingerprint."""
        return relevant(self)


def load_row_recipes(folder: str | None, rows: Rows) -> list[tuple[RowRecipe, list[RowSource]]]:
    """The recipes for one kind of rows, by name, each with its sources; none where the folder has none of this kind.

    Args:
        folder: of recipes, looked for in the working directory, then among the built-in ones; None has none.
        rows: which of its folders to read.

    Raises:
        RecipeError: for a folder that is not there, a recipe that cannot be used, or a file that is missing.
    """
    if folder is None:
        return []
    found = locate(Path(folder))
    if not found.is_dir():
        raise RecipeError(
            f"recipes={folder}: no such folder (looked for {places(Path(folder))}), set recipes to a folder of recipes"
        )
    if not (found / rows).is_dir():
        return []
    return [load_row_recipe(path) for path in recipe_files(found / rows).values()]


def load_row_recipe(path: Path) -> tuple[RowRecipe, list[RowSource]]:
    """One recipe with its sources, checked.

    Raises:
        RecipeError: for one that cannot be used, or a file that is missing.
    """
    recipe = build_part(RowRecipe, read_mapping(path), str(path))
    if recipe.domain != path.stem:
        raise RecipeError(f"{path}: domain={recipe.domain}, rename the file to {recipe.domain}.yaml")
    sources: list[RowSource] = []
    for number, part in enumerate(recipe.sources):
        source = _source(part, recipe, f"{path}: sources[{number}]", path.parent)
        if source.name in (each.name for each in sources):
            raise RecipeError(
                f"{path}: sources[{number}].disclosure.name={source.name}: an earlier source has this name, set another"
            )
        sources.append(source)
    return recipe, sources


def _source(part: dict[str, Any], recipe: RowRecipe, where: str, folder: Path) -> RowSource:
    own = {each.name for each in dataclasses.fields(RowSettings)}
    settings = build_part(RowSettings, {key: value for key, value in part.items() if key in own}, where)
    rest = {key: value for key, value in part.items() if key not in own}
    reads: Any = build_named(ROW_SOURCES, "kind", rest, where)
    if isinstance(reads, FileSource):
        reads = reads.in_recipe(folder)
    if isinstance(reads, Columns):
        reads = reads.whole_rows()
        check_source(reads, where)
    return RowSource(reads=reads, settings=settings, domain=recipe.domain, licence=settings.licence or recipe.licence)


def describe_recipes(folder: str | None, rows: Rows) -> dict[str, Any]:
    """What the recipes say and which data they name: a part of a stage's fingerprint, empty without recipes.

    Raises:
        RecipeError: for a recipe that cannot be used.
    """
    return {recipe.domain: describe_recipe(recipe, sources) for recipe, sources in load_row_recipes(folder, rows)}


def describe_recipe(recipe: RowRecipe, sources: Iterable[RowSource]) -> dict[str, Any]:
    """What a recipe says, and what identifies the files that it names."""
    return {**recipe.as_json(), "sources_found": [describe(each.reads) for each in sources]}


def missing_datasets(sources: Iterable[RowSource]) -> list[str]:
    """The data sets of the hub that the local cache has nothing of: what a stage would have to fetch."""
    from huggingface_hub.constants import HF_HUB_CACHE

    names = [each.reads.dataset for each in sources if isinstance(each.reads, HuggingFaceSource)]
    return [
        name
        for name in dict.fromkeys(names)
        if not Path(name).is_dir() and not (Path(HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}").is_dir()
    ]


def disclosed(source: RowSource, kept: int, size: int, languages: Iterable[str]) -> dict[str, Any]:
    """A source in the fields of IBM's disclosures (ibm-granite/granite-4.1-language-models), and where it went.

    Args:
        source: to be described.
        kept: its rows that were kept.
        size: of their texts, in bytes.
        languages: found in them; where none are known, those that the recipe names.
    """
    return {
        **asdict(source.reads.disclosure),
        "size_MB": round(size / 10**6, 6),
        "languages": sorted(languages) or list(source.reads.disclosure.languages),
        "domain": source.domain,
        "licence": source.licence,
        "documents": kept,
    }
