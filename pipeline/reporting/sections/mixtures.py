"""Which domains the phases of pretraining were to see, and which they saw."""

from __future__ import annotations

from pipeline.reporting.blocks import Block, Missing, Section, Table, number
from pipeline.reporting.run_data import RunData, StageData


def mixtures(run: RunData) -> Section:
    """The planned weights of each phase's mixture beside the shares of sequences that it trained on."""
    blocks: list[Block] = []
    phases = run.of("pretrain")
    for phase in phases:
        weights = _planned(phase)
        if not weights:
            blocks.append(Missing(f"{phase.name}: its mixture is not known."))
            continue
        progress = (phase.file("training_state/progress.json") if phase.manifest else None) or {}
        samples = progress.get("samples") if isinstance(progress, dict) else None
        blocks.append(_table(phase, weights, samples if isinstance(samples, dict) else {}))
        if phase.manifest is None:
            blocks.append(Missing(f"{phase.name} is not finished ({phase.state}): the right columns are empty."))
    if not phases:
        blocks.append(Missing("This run has no phase of pretraining."))
    return Section("mixtures", "Mixtures", blocks)


def _planned(phase: StageData) -> dict[str, float]:
    """Shares by domain that sum to 1."""
    mixture = phase.config.get("mixture")
    weights = mixture if isinstance(mixture, dict) else {}
    known = {str(name): float(value) for name, value in weights.items() if isinstance(value, int | float)}
    total = sum(known.values())
    return {name: value / total for name, value in known.items()} if total else {}


def _table(phase: StageData, weights: dict[str, float], samples: dict[str, int]) -> Table:
    total = sum(samples.values())
    rows = [
        (
            domain,
            f"{100 * share:.2f} %",
            f"{100 * samples.get(domain, 0) / total:.2f} %" if total else "",
            number(samples.get(domain)) if total else "",
            number(phase.metrics.get(f"epochs/{domain}"), 3) if f"epochs/{domain}" in phase.metrics else "",
        )
        for domain, share in sorted(weights.items(), key=lambda each: -each[1])
    ]
    header = ("domain", "planned", "trained on", "sequences", "epochs")
    return Table(f"{phase.name}: mixture planned and realized", header, rows)
