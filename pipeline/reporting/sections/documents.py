"""What became of documents, synthetic samples and conversations: the funnel of every domain, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.reporting.blocks import Block, Folded, Missing, Section, Table, Text, number, percent
from pipeline.reporting.run_data import RunData, StageData

EXAMPLES_SHOWN = 2
"""Documents of a reason, removed for it or close to it."""


def curation(run: RunData) -> Section:
    """The funnel of curation and of synthesis."""
    blocks: list[Block] = []
    for stage in run.of("curate", "synthesize"):
        blocks += _funnel_of(stage, "documents" if stage.kind == "curate" else "samples")
    return Section("curation", "Curation", blocks or [Missing("This run has no stage that curates or synthesizes.")])


def conversations(run: RunData) -> Section:
    """What the rules, and a judge if there is one, said of conversations."""
    stages = run.of("sft_data")
    blocks: list[Block] = [] if stages else [Missing("This run has no stage that prepares conversations.")]
    for stage in stages:
        blocks += _funnel_of(stage, "conversations")
        blocks += _judged(stage)
    return Section("sft-data", "Conversations for SFT", blocks)


def _funnel_of(stage: StageData, counted: str) -> list[Block]:
    report = stage.file("report.json") if stage.manifest else None
    if not isinstance(report, dict):
        why = "its artifact has no report.json" if stage.manifest else stage.state
        return [Missing(f"{stage.name}: no funnel to show ({why}).")]
    overview: list[tuple[str, ...]] = []
    details: list[Block] = []
    for domain, part in sorted(report.items()):
        if not isinstance(part, dict):
            continue
        into, kept = part.get("in", 0), part.get("kept", 0)
        overview.append(
            (domain, number(into), number(kept), percent(kept / into if into else None), number(part.get("bytes")))
        )
        examples = stage.file(f"examples/{domain}.json") or {}
        details.append(Folded(f"{domain}: steps, reasons and examples", _domain(domain, part, examples)))
    table = Table(
        f"{stage.name}: {counted} read and kept of each domain",
        ("domain", "read", "kept", "share kept", "bytes kept"),
        overview,
    )
    return [table, *details]


def _domain(domain: str, part: Mapping[str, Any], examples: Mapping[str, Any]) -> list[Block]:
    steps = [step for step in part.get("steps", []) if isinstance(step, dict)]
    blocks: list[Block] = []
    if part.get("description"):
        blocks.append(Text(f"{part['description']}. License: {part.get('licence', 'not known')}."))
    rows = [
        (str(step.get("step")), *(number(step.get(key)) for key in ("in", "kept", "removed", "edited")))
        for step in steps
    ]
    blocks.append(Table(f"{domain}: steps in order", ("step", "in", "kept", "removed", "edited"), rows))
    reasons = [
        (str(step.get("step")), str(reason), number(count))
        for step in steps
        for reason, count in sorted(step.get("reasons", {}).items(), key=lambda each: -each[1])
    ]
    if reasons:
        header = ("step", "reason", "removed")
        blocks.append(Table(f"{domain}: what was removed, and why", header, reasons, numbers_from=2))
    if shown := [*_examples("removed", examples), *_examples("near", examples)]:
        header = ("what", "step and reason", "measured", "limit", "text")
        blocks.append(Table(f"{domain}: examples", header, shown, numbers_from=5, texts=True))
    return blocks


def _examples(kind: str, examples: Mapping[str, Any]) -> list[tuple[str, ...]]:
    named = {"removed": "removed", "near": "kept, close to the limit"}
    found = examples.get(kind, {})
    return [
        (
            named[kind],
            f"{step}: {reason}",
            number(row.get("value")),
            number(row.get("threshold")),
            str(row.get("excerpt", "")),
        )
        for step, reasons in sorted(found.items())
        for reason, rows in sorted(reasons.items())
        for row in rows[:EXAMPLES_SHOWN]
    ]


def _judged(stage: StageData) -> list[Block]:
    """What a judge said, as far as the stage counted it; and the samples that are taught."""
    if stage.manifest is None:
        return []
    blocks: list[Block] = []
    verdicts = [(name, number(value)) for name, value in sorted(stage.metrics.items()) if name.startswith("judge")]
    if verdicts:
        blocks.append(Table(f"{stage.name}: verdicts of the judge", ("what", "number"), verdicts))
    else:
        blocks.append(Text("No language model judged these conversations: the rules alone decided."))
    counted = [(name, number(value)) for name, value in sorted(stage.metrics.items()) if not name.startswith("judge")]
    blocks.append(
        Folded(f"{stage.name}: all numbers", [Table(f"{stage.name}: all numbers", ("what", "number"), counted)])
    )
    samples = [(sample.get("prompt", ""), sample.get("answer", "")) for sample in stage.manifest.samples]
    if samples:
        header = ("prompt", "answer")
        blocks.append(Table("Conversations that were kept", header, samples, numbers_from=2, texts=True))
    return blocks
