"""The stage `curate`: from the sources that recipes name to documents by domain, with a row for each one removed."""

import logging
from pathlib import Path
from typing import Any

from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import read_json, write_json
from pipeline.curation.audit.bad_share import check_bad_share
from pipeline.curation.audit.losses import check_not_empty, large_losses
from pipeline.curation.audit.summary import summarize
from pipeline.curation.audit.web_domains import WEB_DOMAINS, WebDomains
from pipeline.curation.config import CurateConfig
from pipeline.curation.executors.run_tasks import Task, run_tasks
from pipeline.curation.readers import readers
from pipeline.curation.recipes.recipe import DOMAIN_STEPS
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
from pipeline.curation.tasks.read_and_filter import AUDIT_LOG, ReadAndFilter
from pipeline.curation.tasks.workspace import DomainWorkspace
from pipeline.curation.text.documents import write_rows

LOG = logging.getLogger(__name__)
READ_AND_FILTER, REPORT = "read and filter", "report.json"


def run(context: StageContext[CurateConfig]) -> StageResult:
    """Curates all domains: the steps of `plan` one after the other, the tasks of each side by side.

    Tasks leave what they make in the stage's state, where a later attempt finds it: after a kill the same result comes
    out, and what was done is not done again.

    Raises:
        RecipeError: for a recipe that cannot be used.
        DataError: for data that cannot be read, of which too much is damaged, or of which nothing is left.
        LaunchError: for tasks that Slurm or Ray did not do.
        Requeue: after a stop signal; what is done stays done.
    """
    config = context.config
    # Which tasks are done is known by their numbers, so another division of the work starts afresh.
    state = context.state / f"shards-{config.tasks}"
    workspaces = [DomainWorkspace(state / "domains" / recipe.domain, recipe, config.tasks) for recipe in config.load()]

    def show(units: int, documents: int) -> None:
        context.progress.note(documents=documents)
        context.progress.update(units)

    for label, tasks in plan(workspaces, config, context.output):
        total = _source_units(workspaces) if label == READ_AND_FILTER else len(tasks)
        context.progress.start(total, "items" if label == READ_AND_FILTER else "tasks", label)
        # Slurm's scripts name this folder without quotes.
        folder = state / "done" / label.replace(" ", "-")
        run_tasks(tasks, folder, config.executor, config.workers, show, context.stop_requested)
        if label == READ_AND_FILTER:
            for each in workspaces:
                _check_what_was_read(each, config)
    return _write_report(workspaces, context.output)


def _check_what_was_read(workspace: DomainWorkspace, config: CurateConfig) -> None:
    """Stops before hours of work on a domain that is damaged or empty, and names steps that removed nearly all."""
    paths = sorted(workspace.audit_logs.glob(f"{AUDIT_LOG}-*.json"))
    check_bad_share(workspace.recipe, paths, config)
    if workspace.recipe.upstream:
        return
    audit = workspace.new_audit_log()
    for path in paths:
        # The counts alone: of all that was removed there may be more than memory holds.
        audit.merge({**read_json(path), "rows": [], "matches": [], "quarantined": []})
    steps = [step for step in audit.funnel() if step["step"] not in DOMAIN_STEPS]
    check_not_empty(workspace.recipe.domain, steps)
    for sentence in large_losses(steps):
        LOG.warning("%s: %s", workspace.recipe.domain, sentence)


def plan(workspaces: list[DomainWorkspace], config: CurateConfig, output: Path) -> list[tuple[str, list[Task]]]:
    """The steps of the work in their order, each with a name and tasks that are independent of each other.

    A step begins when the one before is done, in all domains: then all machines work on whatever domain is left. A step
    that no recipe asks for has no tasks.
    """
    # Domains from sources, and those made from other domains of this stage.
    curated = [each for each in workspaces if not each.recipe.upstream]
    selected = [each for each in workspaces if each.recipe.upstream]
    with_minhash = [(each, step) for each in curated if (step := each.minhash) is not None]
    with_substrings = [(each, step) for each in curated if (step := each.substring_dedup) is not None]
    shards, documents_per_file = range(config.tasks), config.documents_per_file
    return [
        # The largest domain must not be the last to start: parts of all domains take turns.
        (READ_AND_FILTER, [ReadAndFilter(each, task) for task in shards for each in curated]),
        ("exact duplicates", [MergeExact(each, shard) for each in curated for shard in shards]),
        ("signatures", [MinHashSignatures(each, shard) for each, _ in with_minhash for shard in shards]),
        ("buckets", [LshBuckets(each, bucket) for each, step in with_minhash for bucket in range(step.buckets)]),
        ("near duplicates", [FilterNearDuplicates(each) for each, _ in with_substrings]),
        ("n-grams", [HashNgrams(each, shard) for each, _ in with_substrings for shard in shards]),
        ("repeats", [FindRepeats(each, bucket) for each, step in with_substrings for bucket in range(step.buckets)]),
        ("documents", [WriteDomain(each, output, documents_per_file) for each in curated]),
        ("high quality", [SelectHighQuality(each, output, documents_per_file) for each in selected]),
    ]


def _source_units(workspaces: list[DomainWorkspace]) -> int:
    """Files, modules and generated documents that all domains read together."""
    return sum(len(readers.list_items(source)) for each in workspaces for source in each.recipe.sources)


def _write_report(workspaces: list[DomainWorkspace], output: Path) -> StageResult:
    """Writes report, disclosure and web domains over all finished domains, and returns the stage's result."""
    report: dict[str, Any] = {}
    disclosure: list[dict[str, Any]] = []
    web = WebDomains()
    for each in workspaces:
        funnel = read_json(each.funnel)
        check_not_empty(each.recipe.domain, funnel)
        report[each.recipe.domain], disclosed = summarize(each.recipe, output, funnel, web)
        disclosure += disclosed
    write_json(output / REPORT, report)
    write_json(output / "disclosure.json", disclosure)
    write_rows(output / WEB_DOMAINS, web.rows())
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
