"""Which stages a run has, what each was made from, and when."""

from __future__ import annotations

from pipeline.reporting.blocks import Block, Missing, Points, Section, Table, Text, duration, number
from pipeline.reporting.run_data import RunData, StageData

FINGERPRINT_SHOWN = 12


def chain(run: RunData) -> Section:
    """Every stage with its lineage, time and measure."""
    rows = [_row(stage) for stage in run.stages]
    blocks: list[Block] = []
    if run.settings:
        blocks.append(Text("Settings that the run remembers: " + " ".join(run.settings)))
    blocks.append(
        Table(
            "Stages in order, with what each was made from",
            ("stage", "state", "read", "finished", "time", "tokens", "measure", "before", "after", "fingerprint"),
            rows,
            numbers_from=3,
        )
    )
    if open_stages := [stage.name for stage in run.stages if stage.manifest is None]:
        blocks.append(Missing("Not finished, so not in this report: " + ", ".join(open_stages) + "."))
    if run.problems:
        blocks.append(Points(run.problems))
    return Section("chain", "Chain", blocks)


def _row(stage: StageData) -> tuple[str, ...]:
    read = ", ".join(f"{role}: {name}" if role != name else name for role, name in sorted(stage.inputs.items()))
    manifest = stage.manifest
    if manifest is None:
        return (stage.name, stage.state, read, "", "", "", "", "", "", "")
    return (
        stage.name,
        stage.state,
        read,
        manifest.finished.replace("T", " ").removesuffix("+00:00"),
        duration(stage.seconds),
        number(manifest.tokens) if manifest.tokens else "",
        manifest.measure,
        number(manifest.before) if manifest.before is not None else "",
        number(manifest.after) if manifest.after is not None else "",
        manifest.fingerprint[:FINGERPRINT_SHOWN],
    )
