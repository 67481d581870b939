"""What longer context gave: loss beyond the context before, retrieval, and the merges that were tried."""

from __future__ import annotations

import math
import re

from pipeline.reporting.blocks import Block, Missing, Plot, Section, Series, Table, number
from pipeline.reporting.run_data import RunData, StageData
from pipeline.reporting.sections.evaluation import measured_stage

AT_LENGTH = re.compile(r"(long_range_loss|needle_exact|needle_gain|needle_loss)/(\d+)")
NAMES = {
    "needle_exact": "share of needles found",
    "needle_gain": "needle gain, nats",
    "needle_loss": "needle loss, nats",
    "long_range_loss": "loss at long range",
}


def long_context(run: RunData) -> Section:
    """Context against retrieval for every evaluated checkpoint, and the merges of phase 5."""
    blocks: list[Block] = []
    found = [(measured_stage(stage), measured) for stage in run.done_of("evaluate") if (measured := _at_lengths(stage))]
    for metric in ("needle_exact", "needle_gain"):
        lines = [
            (name, sorted((float(length), value) for (measure, length), value in measured.items() if measure == metric))
            for name, measured in found
        ]
        series = [Series(name, points) for name, points in lines if points]
        if series:
            says = f"{NAMES[metric]} at each length of context, one line for each checkpoint.".capitalize()
            caption = f"Context against retrieval: {NAMES[metric]}"
            blocks.append(Plot(caption, says, "tokens of context", NAMES[metric], series, log_x=True))
    if found:
        keys = sorted({key for _, measured in found for key in measured})
        rows = [
            (NAMES[measure], f"{length:,}", *(number(measured.get((measure, length))) for _, measured in found))
            for measure, length in keys
        ]
        header = ("measure", "context", *(name for name, _ in found))
        blocks.append(Table("Long context by checkpoint", header, rows))
    else:
        blocks.append(Missing("No finished evaluation measured retrieval or loss at long range."))
    blocks += _phases(run)
    return Section("long-context", "Long context and merges", blocks)


def _at_lengths(stage: StageData) -> dict[tuple[str, int], float]:
    matches = ((AT_LENGTH.fullmatch(name), value) for name, value in stage.metrics.items())
    return {(match[1], int(match[2])): value for match, value in matches if match and math.isfinite(value)}


def _phases(run: RunData) -> list[Block]:
    rows, merges = [], []
    for phase in run.done_of("pretrain"):
        if "loss/end/far" in phase.metrics and "loss/start/far" in phase.metrics:
            ends = ("loss/start/near", "loss/end/near", "loss/start/far", "loss/end/far")
            values = (number(phase.metrics.get(name)) for name in ends)
            rows.append((phase.name, number(phase.config.get("context")), *values))
        merges += _merge(phase)
    blocks: list[Block] = []
    if rows:
        header = ("phase", "context", "short, before", "short, after", "long, before", "long, after")
        caption = "Loss at positions that the context before had (short) and had not (long), nats per token"
        blocks.append(Table(caption, header, rows))
    if merges:
        header = ("phase", "method", "weight of the new", "short loss", "long loss", "chosen")
        blocks.append(Table("Merges with the model before that were tried", header, merges, numbers_from=2))
    else:
        blocks.append(Missing("No finished phase merged its model with the one before."))
    return blocks


def _merge(phase: StageData) -> list[tuple[str, ...]]:
    record = phase.file("merge.json")
    tried = record.get("tried") if isinstance(record, dict) else None
    if not isinstance(tried, list):
        return []
    chosen = record.get("chosen")
    return [
        (
            phase.name,
            str(each.get("method")),
            *(number(each.get(key)) for key in ("weight", "short", "long")),
            "yes" if each == chosen else "",
        )
        for each in tried
        if isinstance(each, dict)
    ]
