"""Recipes: one YAML file per domain says what goes in, what is done to it, and with which thresholds.

A recipe is checked whole, with all others of its folder, before any data is read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pipeline.core.config import build, fingerprint, nearest
from pipeline.core.errors import ConfigError, RecipeError
from pipeline.core.installation import locate, places
from pipeline.curation.readers.source_files import check_source
from pipeline.curation.readers.sources import PAGES, SOURCES, DomainSource, Source
from pipeline.curation.recipes.steps import EXTRACTORS, STEPS, Classifier, GneissWeb, QualityClassifier, Step
from pipeline.curation.recipes.steps.per_language import PerLanguage

DOMAINS = (
    "common_crawl", "common_crawl_hq", "code", "math", "technical", "multilingual", "domain", "synthetic",
    "long_cot", "language_instructions", "code_instructions", "books", "code_repositories",
)  # fmt: skip
DOMAIN_STEPS = ("exact_dedup", "minhash", "substring_dedup", "pack_repositories")
"""The order in which documents are compared: each looks at fewer, and finer (RefinedWeb, arXiv 2306.01116)."""

PartT = TypeVar("PartT")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one domain is made."""

    domain: str
    """One of the domains of the mixtures."""
    description: str
    """What the domain is, for the report and the model card."""
    licence: str
    """Licence, or licences, of the sources."""
    languages: tuple[str, ...]
    """ISO 639-1 codes."""
    sources: tuple[Source, ...]
    """What goes in."""
    steps: tuple[Step, ...]
    """What is done to it, in this order."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the fingerprint and the report."""
        return asdict(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the recipe says: with it, a row of a removal tells which thresholds it fell to."""
        return fingerprint(self.as_json())

    @property
    def upstream(self) -> tuple[str, ...]:
        """Domains that this one is made from."""
        names = [source.domain for source in self.sources if isinstance(source, DomainSource)]
        names += [name for step in self.steps if isinstance(step, QualityClassifier) for name in step.positives]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class _Outline:
    """A recipe before its sources and steps are looked at."""

    domain: str
    description: str
    licence: str
    languages: tuple[str, ...]
    sources: tuple[dict[str, Any], ...]
    steps: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        if self.domain not in DOMAINS:
            raise ValueError(f"{self.domain!r} is not a domain, {nearest(self.domain, DOMAINS)}")
        if not self.sources:
            raise ValueError("sources is empty, set at least one")


def load_recipes(folder: Path, domains: tuple[str, ...] | None = None, recipe: str | None = None) -> list[Recipe]:
    """The recipes of a folder, those that others are made from first.

    Args:
        folder: holds one YAML file per domain.
        domains: those to load; null loads all.
        recipe: load this domain alone, with what it is made from; a path that ends in `.yaml` is that file.

    Both paths are looked for in the working directory, then among the built-in recipes.

    Raises:
        RecipeError: for a folder without recipes, a recipe that cannot be used, or a missing source.
    """
    if recipe is not None and recipe.endswith(".yaml"):
        recipes = {each.domain: each for each in [load_recipe(locate(Path(recipe)))]}
        chosen = list(recipes.values())
    else:
        folder = locate(folder)
        paths = _recipe_files(folder)
        for name in (recipe,) if recipe is not None else domains or ():
            if name not in paths:
                key = "domains" if recipe is None else f"recipe={recipe}"
                raise RecipeError(f"{key}: no recipe {folder}/{name}.yaml, {nearest(name, paths)}")
        recipes = {name: _named(path) for name, path in paths.items() if recipe in (None, name)}
        for each in tuple(recipes.values()) if recipe is not None else ():
            recipes |= {name: _named(paths[name]) for name in each.upstream if name in paths}
        chosen = [recipes[name] for name in sorted(domains if domains and recipe is None else recipes)]
    names = {each.domain for each in chosen}
    for each in chosen:
        for name in each.upstream:
            if name not in names:
                raise RecipeError(
                    f"{folder}/{each.domain}.yaml: made from domain {name}, which is not curated here, "
                    f"{nearest(name, names)}"
                )
            if recipes[name].upstream:
                raise RecipeError(
                    f"{folder}/{each.domain}.yaml: made from {name}, itself made from another domain; "
                    "name the first one"
                )
    return sorted(chosen, key=lambda each: (bool(each.upstream), each.domain))


def _recipe_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise RecipeError(
            f"recipes={folder}: no such folder (looked for {places(folder)}), set recipes to a folder of YAML files"
        )
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not paths:
        raise RecipeError(f"recipes={folder}: no *.yaml in this folder, set recipes to a folder of recipes")
    return paths


def _named(path: Path) -> Recipe:
    recipe = load_recipe(path)
    if recipe.domain != path.stem:
        raise RecipeError(f"{path}: domain={recipe.domain}, rename the file to {recipe.domain}.yaml")
    return recipe


def load_recipe(path: Path) -> Recipe:
    """One recipe.

    Raises:
        RecipeError: if it cannot be used; the line names file, key, value and what to do.
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
    outline = _build(_Outline, mapping, str(path))
    sources = tuple(
        _variant(SOURCES, "kind", part, f"{path}: sources[{index}]") for index, part in enumerate(outline.sources)
    )
    steps = tuple(_variant(STEPS, "step", part, f"{path}: steps[{index}]") for index, part in enumerate(outline.steps))
    recipe = Recipe(
        domain=outline.domain,
        description=outline.description,
        licence=outline.licence,
        languages=outline.languages,
        sources=sources,
        steps=steps,
    )
    _check_order(recipe, path)
    _check_scores(recipe, path)
    for index, source in enumerate(recipe.sources):
        if source.disclosure.name in (each.disclosure.name for each in recipe.sources[:index]):
            raise RecipeError(
                f"{path}: sources[{index}].disclosure.name={source.disclosure.name}: an earlier source has this name, "
                "set another: what was kept of each is told apart by it"
            )
        check_source(source, f"{path}: sources[{index}]")
    return recipe


def _variant(variants: Mapping[str, type[PartT]], key: str, part: dict[str, Any], where: str) -> PartT:
    name = part.get(key)
    if not isinstance(name, str) or name not in variants:
        hint = nearest(str(name), variants) if name is not None else f"valid: {', '.join(sorted(variants))}"
        raise RecipeError(f"{where}.{key}={name}: unknown {key}, {hint}")
    return _build(variants[name], part, where)


def _build(cls: type[PartT], mapping: dict[str, Any], where: str) -> PartT:
    if not all(isinstance(key, str) for key in mapping):
        raise RecipeError(f"{where}: keys must be text, quote them")
    try:
        return build(cls, mapping, where)
    except ConfigError as error:
        raise RecipeError(str(error)) from None


def _check_order(recipe: Recipe, path: Path) -> None:
    """Pages become text first, documents are looked at one by one, then against each other."""
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
    if scopes != sorted(scopes, key=["page", "document", "domain"].index):
        raise RecipeError(
            f"{path}: steps={names}: put url_filter and what makes text of pages first, then the steps "
            "that look at one document, then exact_dedup and minhash"
        )
    apart = [name for name in names if name in DOMAIN_STEPS]
    if apart != sorted(apart, key=DOMAIN_STEPS.index):
        raise RecipeError(f"{path}: steps={names}: put {', '.join(DOMAIN_STEPS)} in this order")
    for index, source in enumerate(recipe.sources):
        pages = source.kind in ("warc", "html") or getattr(source, "generator", None) in PAGES
        extractors = [step.step for step in recipe.steps if isinstance(step, EXTRACTORS)]
        if len(extractors) != pages:
            remedy = "put `step: trafilatura` or `step: resiliparse` first"
            if extractors:
                remedy = f"remove `step: {extractors[-1]}`"
            raise RecipeError(f"{path}: sources[{index}] gives {'pages' if pages else 'text, not pages'}, {remedy}")
        if (source.kind == "domain") != ("quality_classifier" in names) or (
            source.kind == "domain" and len(recipe.sources) > 1
        ):
            raise RecipeError(
                f"{path}: sources[{index}].kind={source.kind}: `step: quality_classifier` goes with one "
                "source of kind domain, and such a source with no other step"
            )
    if "quality_classifier" in names and len(names) > 1:
        raise RecipeError(
            f"{path}: steps={names}: quality_classifier stands alone, the domain it reads is already filtered"
        )


def _check_scores(recipe: Recipe, path: Path) -> None:
    """What a step wants to know of a document, a step before it wrote down."""
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
