"""The evaluation matrix: what every evaluated checkpoint scored, with intervals, floors and changes where measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.core.errors import DamagedFileError
from pipeline.evaluation.contamination import CONTAMINATION, read_current
from pipeline.reporting.blocks import UNKNOWN, Block, Folded, Missing, Section, Table, Text, number, percent
from pipeline.reporting.run_data import RunData, StageData

ACCURACY = "accuracy/"
ENDS = ("low", "high")
"""Parts of a metric that are the ends of its interval: `accuracy/<domain>/low`."""


def measured_stage(evaluation: StageData) -> str:
    """The stage whose checkpoint an evaluation measured."""
    return evaluation.inputs.get("model") or evaluation.name.removeprefix("evaluate_")


def accuracies(metrics: Mapping[str, float]) -> dict[str, float]:
    """`accuracy/<domain>` by domain, without the mean."""
    names = (name.removeprefix(ACCURACY) for name in metrics if name.startswith(ACCURACY))
    return {name: metrics[ACCURACY + name] for name in names if name != "mean" and not _is_part(name, metrics)}


def floor_of(metrics: Mapping[str, float], domain: str) -> float | None:
    """What earns nothing gets: the better of the best constant reply and chance, of those that were measured."""
    known = [metrics[name] for name in (f"floor/{domain}", f"chance/{domain}") if name in metrics]
    return max(known) if known else None


def above_floor(metrics: Mapping[str, float], domain: str) -> bool | None:
    """Whether a domain's accuracy, or the lower end of its interval, is above its floor; None without a floor."""
    floor = floor_of(metrics, domain)
    if floor is None:
        return None
    return metrics.get(f"{ACCURACY}{domain}/low", metrics[ACCURACY + domain]) > floor


def evaluation(run: RunData) -> Section:
    """Accuracy of each domain by checkpoint, then every other number by checkpoint."""
    stages = run.done_of("evaluate")
    if not stages:
        open_ones = ", ".join(f"{stage.name} ({stage.state})" for stage in run.of("evaluate"))
        return Section(
            "evaluation", "Evaluation", [Missing(f"No evaluation is finished: {open_ones or 'none planned'}.")]
        )
    blocks: list[Block] = []
    chats = [stage for stage in stages if accuracies(stage.metrics)]
    if chats:
        blocks += [*_accuracy(chats), *_contamination(run, chats)]
    else:
        blocks.append(Missing("No finished evaluation asked a model for answers: there is no accuracy."))
    blocks += _gates(run)
    names = dict.fromkeys(name for stage in stages for name in stage.metrics if not name.startswith(ACCURACY))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition("/")[0], []).append(name)
    header = ("metric", *map(measured_stage, stages))
    for group, members in groups.items():
        rows = [(name, *(number(stage.metrics.get(name)) for stage in stages)) for name in members]
        blocks.append(Folded(f"{group}: by checkpoint", [Table(f"{group} by checkpoint", header, rows)]))
    return Section("evaluation", "Evaluation", blocks)


def _is_part(name: str, metrics: Mapping[str, float]) -> bool:
    """Whether `<domain>/low` and the like belong to `<domain>`."""
    domain, _, part = name.rpartition("/")
    return bool(part) and ACCURACY + domain in metrics


def _accuracy(stages: Sequence[StageData]) -> list[Block]:
    domains = list(dict.fromkeys(domain for stage in stages for domain in accuracies(stage.metrics)))
    last = stages[-1].metrics
    measured = any(floor_of(stage.metrics, domain) is not None for stage in stages for domain in domains)
    columns = ["domain", *map(measured_stage, stages), "change"]
    rows = [_accuracy_row(domain, stages) for domain in [*domains, "mean"]]
    if measured:
        columns += ["prompts", "chance", "best constant reply", "above both"]
        for place, domain in enumerate([*domains, "mean"]):
            above = above_floor(last, domain) if ACCURACY + domain in last else None
            verdict = UNKNOWN if above is None else "yes" if above else "no"
            parts = (number(last.get(f"{name}/{domain}"), 3) for name in ("prompts", "chance", "floor"))
            rows[place] = (*rows[place], *parts, verdict)
    caption = "Accuracy on held-out prompts by checkpoint, with the interval where it was measured"
    blocks: list[Block] = [Table(caption, columns, rows)]
    has_interval = any(f"{ACCURACY}{domain}/low" in stage.metrics for stage in stages for domain in domains)
    if not has_interval:
        blocks.append(Missing("These evaluations measured no intervals: small changes may be chance."))
    if not measured:
        blocks.append(Missing("They did not measure what chance or a constant reply gets: no number here has a floor."))
    blocks.append(Text("“Change” is that of the last checkpoint against the first one in the table."))
    return blocks


def _accuracy_row(domain: str, stages: Sequence[StageData]) -> tuple[str, ...]:
    values = [stage.metrics.get(ACCURACY + domain) for stage in stages]
    known = [value for value in values if value is not None]
    change = f"{known[-1] - known[0]:+.3f}" if len(known) > 1 else ""
    return (domain, *(with_interval(stage.metrics, domain) for stage in stages), change)


def with_interval(metrics: Mapping[str, float], domain: str) -> str:
    """A domain's accuracy as ".56 (.41 to .70)", as far as it was measured."""
    value = metrics.get(ACCURACY + domain)
    if value is None:
        return UNKNOWN
    low, high = (metrics.get(f"{ACCURACY}{domain}/{end}") for end in ENDS)
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.2f} to {high:.2f})"


def _contamination(run: RunData, stages: Sequence[StageData]) -> list[Block]:
    """Each score with the share of its prompts that the training data hold, and the score on the others."""
    try:
        written = read_current(run.folder)
    except DamagedFileError:
        written = None
    if written is None:
        why = "is of another state of this run" if (run.folder / CONTAMINATION).is_file() else "is not there"
        get = f"`fivephase contamination run={run.name}` says how many of these prompts the training data hold"
        return [Missing(f"{get}: {CONTAMINATION} {why}.")]
    scores = {each["stage"]: each["scores"] for each in written["evaluations"]}
    names = dict.fromkeys(name for each in scores.values() for name in each)
    rows = [(name, *(_held(scores.get(stage.name, {}).get(name)) for stage in stages)) for name in names]
    caption = "Accuracy, the share of its prompts that the checkpoint's training data hold, and accuracy on the others"
    return [Table(caption, ("domain", *map(measured_stage, stages)), rows)]


def _held(score: Mapping[str, Any] | None) -> str:
    """As "0.560, 25 % held, others 0.420 (0.31 to 0.54)"."""
    if score is None:
        return UNKNOWN
    held, others = f"{score['score']:.3f}, {percent(score['held'] / score['prompts'])} held", score["others"]
    if not others["prompts"]:
        return held
    return f"{held}, others {others['score']:.3f} ({others['low']:.2f} to {others['high']:.2f})"


def _gates(run: RunData) -> list[Block]:
    """What each stage's gate allows, and whether what it measured fell beyond that and noise."""
    rows: list[tuple[str, ...]] = []
    for stage in run.done:
        setting = stage.config.get("gate")
        gate = setting if isinstance(setting, dict) else {}
        may_fall = gate.get("may_fall")
        for name, low in stage.metrics.items():
            if not (name.startswith("verified/") and name.endswith("/change_low")):
                continue
            domain = name.removeprefix("verified/").removesuffix("/change_low")
            high = stage.metrics.get(f"verified/{domain}/change_high")
            change = stage.metrics.get(f"verified/{domain}/change")
            if may_fall is None or high is None or change is None:
                continue
            fell = high < -float(may_fall)
            interval = f"{change:+.3f} ({low:+.2f} to {high:+.2f})"
            said = f"fell: {gate.get('action', 'warn')}" if fell else "passed"
            rows.append((stage.name, domain, interval, f"{float(may_fall):.2f}", said))
        rows += [
            (stage.name, name, number(value), "", "")
            for name, value in stage.metrics.items()
            if name.startswith("gate/")
        ]
    header = ("stage", "domain", "change (90 % interval)", "may fall by", "gate")
    return [Table("Gates: verified accuracy before and after a stage", header, rows, numbers_from=2)] if rows else []
