"""Loads recipes: one YAML file per domain says what goes in, what is done to it, and with which thresholds.

A recipe is checked as a whole, together with the others of its folder, before any data is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field

from pipeline.core.config import build, fingerprint, nearest, relevant
from pipeline.core.domains import check_name
from pipeline.core.errors import ConfigError, RecipeError
from pipeline.core.installation import locate, places
from pipeline.curation.readers.source_files import check_source
from pipeline.curation.readers.sources import SOURCES, DomainSource, FileSource, Source, gives_pages
from pipeline.curation.recipes.steps import STEPS, Step
from pipeline.curation.recipes.steps.base import SCOPES, PerLanguage
from pipeline.curation.recipes.steps.classifiers import Classifier, GneissWeb, QualityClassifier
from pipeline.curation.recipes.steps.pages import Extractor
from pipeline.curation.recipes.steps.text import ENGLISH_STOP_WORDS, GopherQuality, Language

DOMAIN_STEPS = ("exact_dedup", "minhash", "substring_dedup", "pack_repositories")
"""The order in which a recipe has them: each compares fewer documents, and in more detail, than the one before
(RefinedWeb, arXiv 2306.01116)."""
ENGLISH = "en"

PartT = TypeVar("PartT")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one domain is made; the fields are the keys of the YAML file."""

    domain: str
    """Its name: any that `pipeline.core.domains.check_name` lets pass."""
    description: str
    """What the domain holds, for the report and the model card."""
    licence: str
    """The license or licenses of the sources, as free text."""
    languages: tuple[str, ...]
    """ISO 639-1 codes of the languages in it."""
    sources: tuple[Source, ...]
    """Where documents come from, in order."""
    steps: tuple[Step, ...]
    """What is done to the documents, in order."""

    def as_json(self) -> dict[str, Any]:
        """The recipe as plain values, for the stage's fingerprint."""
        return relevant(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the recipe's settings: with it, a removal row tells which thresholds were in force."""
        return fingerprint(self.as_json())

    @property
    def upstream(self) -> tuple[str, ...]:
        """The domains whose curated documents this one reads, as its source or as examples of quality."""
        names = [source.domain for source in self.sources if isinstance(source, DomainSource)]
        names += [name for step in self.steps if isinstance(step, QualityClassifier) for name in step.positives]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class _Outline:
    """The keys of a recipe, before the classes of its sources and steps are known."""

    domain: str
    description: str
    licence: str
    languages: tuple[str, ...]
    sources: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]
    steps: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        check_name(self.domain)


Recipes = Mapping[str, Mapping[str, Any]]
"""Recipes that a configuration holds itself, by domain: what their files would say, without `domain`."""
INLINE = "stages.curate.config.recipes"


def load_recipes(
    folder: Path | Recipes, domains: tuple[str, ...] | None = None, recipe: str | None = None
) -> list[Recipe]:
    """Loads and checks the recipes of a folder.

    Args:
        folder: holds one YAML file per domain, named `<domain>.yaml`; or the recipes themselves.
        domains: the domains to load; null loads all.
        recipe: load this domain alone, with the domains it reads from; a path that ends in `.yaml` is that file.

    Returns:
        The recipes by name, those that read no other domain first.

    Both paths are looked for in the working directory, then among the built-in recipes.

    Raises:
        RecipeError: for a folder without recipes, a recipe that cannot be used, or a missing source.
    """
    if recipe is not None and recipe.endswith(".yaml"):
        recipes = {each.domain: each for each in [load_recipe(locate(Path(recipe)))]}
        chosen = list(recipes.values())
    else:
        load = _loaders(folder)
        for name in (recipe,) if recipe is not None else domains or ():
            if name not in load:
                key = "domains" if recipe is None else f"recipe={recipe}"
                raise RecipeError(f"{key}: no recipe {recipe_name(folder, name)}, {nearest(name, load)}")
        recipes = {name: load[name]() for name in load if recipe in (None, name)}
        for each in tuple(recipes.values()) if recipe is not None else ():
            recipes |= {name: load[name]() for name in each.upstream if name in load}
        chosen = [recipes[name] for name in sorted(domains if domains and recipe is None else recipes)]
    names = {each.domain for each in chosen}
    for each in chosen:
        for name in each.upstream:
            if name not in names:
                raise RecipeError(
                    f"{recipe_name(folder, each.domain)}: made from domain {name}, which is not curated here, "
                    f"{nearest(name, names)}"
                )
            if recipes[name].upstream:
                raise RecipeError(
                    f"{recipe_name(folder, each.domain)}: made from {name}, itself made from another domain; "
                    "name the first one"
                )
    return sorted(chosen, key=lambda each: (bool(each.upstream), each.domain))


def recipe_name(folder: Path | str | Recipes, domain: str) -> str:
    """What messages call the recipe of a domain: its file, or its key in the configuration."""
    return f"{INLINE}.{domain}" if isinstance(folder, Mapping) else f"{folder}/{domain}.yaml"


def _loaders(folder: Path | Recipes) -> dict[str, Callable[[], Recipe]]:
    """By the name of its domain, what loads and checks each recipe."""
    if isinstance(folder, Mapping):
        return {
            name: partial(_make, {**content, "domain": name}, recipe_name(folder, name), None)
            for name, content in sorted(folder.items())
        }
    return {name: partial(_load_named, path) for name, path in recipe_files(locate(folder)).items()}


def recipe_files(folder: Path) -> dict[str, Path]:
    """The YAML files of a folder by the domain that each is named after, in alphabetical order.

    Raises:
        RecipeError: for a folder that is not there or has none.
    """
    if not folder.is_dir():
        raise RecipeError(
            f"recipes={folder}: no such folder (looked for {places(folder)}), call fivephase where it lies, or set "
            "recipes to a folder of YAML files"
        )
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not paths:
        raise RecipeError(f"recipes={folder}: no *.yaml in this folder, set recipes to a folder of recipes")
    return paths


def _load_named(path: Path) -> Recipe:
    recipe = load_recipe(path)
    if recipe.domain != path.stem:
        raise RecipeError(f"{path}: domain={recipe.domain}, rename the file to {recipe.domain}.yaml")
    return recipe


def load_recipe(path: Path) -> Recipe:
    """Loads one recipe and checks it, its sources and the order of its steps.

    Raises:
        RecipeError: if it cannot be used; the line names file, key, value and what to do.
    """
    return _make(read_mapping(path), str(path), path.parent)


def read_mapping(path: Path) -> dict[str, Any]:
    """What the YAML file of a recipe says, before any of it is checked.

    Raises:
        RecipeError: for a file that cannot be read, or is no mapping.
    """
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"{path}: cannot be read ({error.strerror}; looked for {places(path)}), set the path of a recipe"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(mapping, dict):
        raise RecipeError(f"{path}: not a mapping, start it with `domain:`")
    return mapping


def _make(mapping: dict[str, Any], path: str, folder: Path | None) -> Recipe:
    """The recipe that a mapping says, checked; `path` names it in messages, `folder` is where its file lies."""
    outline = build_part(_Outline, mapping, path)
    recipe = Recipe(
        domain=outline.domain,
        description=outline.description,
        licence=outline.licence,
        languages=outline.languages,
        sources=tuple(
            source.in_recipe(folder) if isinstance(source, FileSource) and folder is not None else source
            for index, part in enumerate(outline.sources)
            for source in [build_named(SOURCES, "kind", part, f"{path}: sources[{index}]")]
        ),
        steps=tuple(
            build_named(STEPS, "step", part, f"{path}: steps[{index}]") for index, part in enumerate(outline.steps)
        ),
    )
    _check_steps(recipe, path)
    _check_scores(recipe, path)
    _check_stop_words(recipe, path)
    _check_sources(recipe, path)
    return recipe


def build_named(classes: Mapping[str, type[PartT]], key: str, part: dict[str, Any], where: str) -> PartT:
    """The source or step of a mapping, of the class that the value of `key` names.

    Raises:
        RecipeError: for a name that no class has, or a setting that the class does not take; `where` is named.
    """
    name = part.get(key)
    if not isinstance(name, str) or name not in classes:
        hint = nearest(str(name), classes) if name is not None else f"valid: {', '.join(sorted(classes))}"
        raise RecipeError(f"{where}.{key}={name}: unknown {key}, {hint}")
    return build_part(classes[name], part, where)


def build_part(cls: type[PartT], mapping: dict[str, Any], where: str) -> PartT:
    """A part of a recipe as an instance of its dataclass.

    Raises:
        RecipeError: for a setting that the class does not take; `where` is named.
    """
    if not all(isinstance(key, str) for key in mapping):
        raise RecipeError(f"{where}: keys must be text, quote them")
    try:
        return build(cls, mapping, where)
    except ConfigError as error:
        raise RecipeError(str(error)) from None


def _check_steps(recipe: Recipe, path: str) -> None:
    """Checks that each step comes once, and in order: pages, then single documents, then the domain."""
    names = [step.step for step in recipe.steps]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{path}: steps has {name} twice, remove one")
    for index, step in enumerate(recipe.steps):
        if isinstance(step, PerLanguage) and step.by_language and "language" not in names[:index]:
            raise RecipeError(
                f"{path}: steps[{index}].by_language: put `step: language` before it, which finds languages"
            )
    scopes = [step.scope for step in recipe.steps]
    if scopes != sorted(scopes, key=SCOPES.index):
        raise RecipeError(
            f"{path}: steps={names}: put url_filter and what makes text of pages first, then the steps "
            "that look at one document, then exact_dedup and minhash"
        )
    ordered = [name for name in names if name in DOMAIN_STEPS]
    if ordered != sorted(ordered, key=DOMAIN_STEPS.index):
        raise RecipeError(f"{path}: steps={names}: put {', '.join(DOMAIN_STEPS)} in this order")
    if "quality_classifier" in names and len(names) > 1:
        raise RecipeError(
            f"{path}: steps={names}: quality_classifier stands alone, the domain it reads is already filtered"
        )


def _check_sources(recipe: Recipe, path: str) -> None:
    """Checks that each source exists, has its own name, and gives what the steps work on."""
    names = [step.step for step in recipe.steps]
    extractors = [step.step for step in recipe.steps if isinstance(step, Extractor)]
    pages = [index for index, source in enumerate(recipe.sources) if gives_pages(source)]
    if pages and not extractors:
        raise RecipeError(
            f"{path}: sources[{pages[0]}] gives pages, put `step: trafilatura` or `step: resiliparse` first"
        )
    if len(extractors) > bool(pages):
        what = "two extractors" if pages else "no source gives pages"
        raise RecipeError(f"{path}: steps={names}: {what}, remove `step: {extractors[-1]}`")
    for index, source in enumerate(recipe.sources):
        if (source.kind == "domain") != ("quality_classifier" in names) or (
            source.kind == "domain" and len(recipe.sources) > 1
        ):
            raise RecipeError(
                f"{path}: sources[{index}].kind={source.kind}: `step: quality_classifier` goes with one "
                "source of kind domain, and such a source with no other step"
            )
        if source.disclosure.name in (each.disclosure.name for each in recipe.sources[:index]):
            raise RecipeError(
                f"{path}: sources[{index}].disclosure.name={source.disclosure.name}: an earlier source has this name, "
                "set another: what was kept of each is told apart by it"
            )
        check_source(source, f"{path}: sources[{index}]")


def _check_scores(recipe: Recipe, path: str) -> None:
    """Checks that every score that `gneissweb` reads is written by a step `classifier` before it."""
    known: set[str] = set()
    for index, step in enumerate(recipe.steps):
        if isinstance(step, Classifier):
            known |= {model.name for model in step.models}
        if isinstance(step, GneissWeb):
            for name in step.scores:
                if name not in known:
                    raise RecipeError(
                        f"{path}: steps[{index}]: no score {name}, put `step: classifier` before it with a model named "
                        f"{name}, or change quality_above and categories"
                    )


def _check_stop_words(recipe: Recipe, path: str) -> None:
    """Checks that no document is held to the stop words of English that the recipe says is in another language."""
    languages = recipe.languages
    for index, step in enumerate(recipe.steps):
        if isinstance(step, Language):
            languages = step.keep
        if not isinstance(step, GopherQuality):
            continue
        for language in languages:
            own = step.for_language(language)
            if language != ENGLISH and own.minimum_stop_words > 0 and own.stop_words == ENGLISH_STOP_WORDS:
                raise RecipeError(
                    f"{path}: steps[{index}].stop_words: these are English and would remove nearly all documents in "
                    f"{language}; set by_language.{language}.stop_words after `step: language`, or "
                    "minimum_stop_words: 0"
                )
