"""The stage `curate`: from sources to documents by domain, with an account of everything removed."""

from pathlib import Path
from typing import Any

from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import read_json, write_json
from pipeline.curation.audit.bad_share import check_bad_share
from pipeline.curation.audit.summary import summarize
from pipeline.curation.config import CurateConfig
from pipeline.curation.executors.parallel import Task, run_tasks
from pipeline.curation.readers import readers
from pipeline.curation.recipes.recipe import Recipe
from pipeline.curation.tasks.deduplicate import (
    FilterNearDuplicates,
    FindRepeats,
    HashNgrams,
    LshBuckets,
    MergeExact,
    MinHashSignatures,
    WriteDomain,
)
from pipeline.curation.tasks.high_quality import SelectHighQuality
from pipeline.curation.tasks.read_and_filter import ReadAndFilter
from pipeline.curation.tasks.workspace import DomainWorkspace

COLLECT, REPORT = "collect", "report.json"


def run(context: StageContext[CurateConfig]) -> StageResult:
    """Curates all domains, each step of the work over all of them side by side.

    Raises:
        RecipeError: for a recipe that cannot be used.
        DataError: for data that cannot be read.
        Requeue: after a stop signal; what is done stays done.
    """
    config = context.config
    recipes = config.load()
    # Which tasks are done is known by their numbers, so another division of the work starts afresh.
    state = context.state / f"tasks-{config.tasks}"

    def show(units: int, documents: int) -> None:
        context.progress.note(documents=documents)
        context.progress.update(units)

    # What a kill left half written beside its place.
    for path in context.output.rglob(".*"):
        path.unlink()
    for label, tasks in plan(recipes, config, state, context.output):
        total = _units(recipes) if label == COLLECT else len(tasks)
        context.progress.start(total, "units", label)
        # Slurm's scripts name this folder without quotes.
        folder = state / "done" / label.replace(" ", "-")
        run_tasks(tasks, folder, config.executor, config.workers, show, context.stop_requested)
        if label == COLLECT:
            for recipe in recipes:
                audits = _funnel(state, recipe).parent / "ledgers"
                check_bad_share(recipe, sorted(audits.glob("collect-*.json")), config)
    summaries = {
        recipe.domain: summarize(recipe, context.output, read_json(_funnel(state, recipe))) for recipe in recipes
    }
    report = {domain: each for domain, (each, _) in summaries.items()}
    write_json(context.output / REPORT, report)
    write_json(context.output / "disclosure.json", [each for _, disclosed in summaries.values() for each in disclosed])
    return _result(report)


def plan(recipes: list[Recipe], config: CurateConfig, state: Path, output: Path) -> list[tuple[str, list[Task]]]:
    """What is done, one after the other; the tasks of one step are independent of each other."""
    places = [
        DomainWorkspace(state / "domains" / recipe.domain, recipe, config.tasks)
        for recipe in recipes
        if not recipe.upstream
    ]
    near = [(place, place.minhash) for place in places if place.minhash is not None]
    shards = range(config.tasks)
    # The largest domain must not be the last to start: parts of all domains take turns.
    collect: list[Task] = [ReadAndFilter(place, task) for task in shards for place in places]
    unite: list[Task] = [MergeExact(place) for place in places]
    sign: list[Task] = [MinHashSignatures(place, shard) for place, _ in near for shard in shards]
    pair: list[Task] = [LshBuckets(place, bucket) for place, step in near for bucket in range(step.buckets)]
    copies = [(place, place.substrings) for place in places if place.substrings is not None]
    thin: list[Task] = [FilterNearDuplicates(place) for place, _ in copies]
    runs: list[Task] = [HashNgrams(place, shard) for place, _ in copies for shard in shards]
    repeated: list[Task] = [FindRepeats(place, bucket) for place, step in copies for bucket in range(step.buckets)]
    publish: list[Task] = [WriteDomain(place, output, config.documents_per_file) for place in places]
    high: list[Task] = [
        SelectHighQuality(recipe, output, _funnel(state, recipe), config.documents_per_file)
        for recipe in recipes
        if recipe.upstream
    ]
    return [
        (COLLECT, collect), ("exact duplicates", unite), ("signatures", sign), ("buckets", pair),
        ("near duplicates", thin), ("runs", runs), ("repeats", repeated), ("documents", publish),
        ("high quality", high),
    ]  # fmt: skip


def _units(recipes: list[Recipe]) -> int:
    """Files, modules and generated documents to read."""
    return sum(len(readers.units(source)) for recipe in recipes for source in recipe.sources)


def _funnel(state: Path, recipe: Recipe) -> Path:
    return state / "domains" / recipe.domain / "funnel.json"


def _result(report: dict[str, Any]) -> StageResult:
    metrics = {}
    for domain, each in report.items():
        for name in ("kept", "removed", "bytes"):
            metrics[f"{domain}/{name}"] = float(each[name])
    total = {name: sum(each[name] for each in report.values()) for name in ("in", "kept", "removed")}
    metrics["bytes"] = float(sum(each["bytes"] for each in report.values()))
    return StageResult(
        metrics=metrics,
        measure="documents, in and kept",
        before=total["in"],
        after=total["kept"],
        counts=total,
    )
