"""Loss and learning rate against tokens over all phases, and the loss of each domain."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.reporting.blocks import Block, Missing, Plot, Section, Series, Table, number, thinned
from pipeline.reporting.run_data import RunData, StageData

HELD_OUT = ("loss/start/", "loss/end/")
TOTALS = ("near", "far", "mean")
"""Names beside the domains in a phase's held-out losses."""


def training(run: RunData) -> Section:
    """The curves of pretraining and SFT, from `history.jsonl`, and held-out losses, from the manifests."""
    phases = run.of("pretrain")
    blocks: list[Block] = []
    logged = [phase for phase in phases if any("train/loss" in step.metrics for step in phase.history)]
    if logged:
        marks = [(float(phase.history[-1].tokens), phase.name) for phase in logged]
        blocks.append(
            Plot(
                "Training loss against tokens",
                "Training loss of every logged step of pretraining, one line for each phase.",
                "tokens",
                "nats per token",
                [Series(phase.name, curve(phase, "train/loss")) for phase in logged],
                marks=marks,
            )
        )
        blocks.append(
            Plot(
                "Learning rate against tokens",
                "Learning rate of every logged step of pretraining, one line for each phase.",
                "tokens",
                "learning rate",
                [Series(phase.name, curve(phase, "train/learning_rate")) for phase in logged],
                marks=marks,
            )
        )
        blocks += _loss_of_domains(logged)
    if silent := [phase.name for phase in phases if phase not in logged]:
        why = "not started, or made before there was a history of every stage"
        blocks.append(Missing(f"No logged steps of {', '.join(silent)} ({why})."))
    blocks += _held_out(run.done_of("pretrain"))
    blocks += _others(run)
    return Section("training", "Loss and learning rate", blocks)


def curve(stage: StageData, metric: str, scale: Callable[[float], float] = float) -> list[tuple[float, float]]:
    """The logged values of a metric against tokens."""
    return thinned(
        [(float(step.tokens), scale(step.metrics[metric])) for step in stage.history if metric in step.metrics]
    )


def _loss_of_domains(phases: list[StageData]) -> list[Block]:
    names = sorted({name for phase in phases for step in phase.history for name in step.metrics})
    domains = [name.removeprefix("train/loss/") for name in names if name.startswith("train/loss/")]
    if not domains:
        return []
    series = [
        Series(domain, sorted(point for phase in phases for point in curve(phase, f"train/loss/{domain}")))
        for domain in domains
    ]
    says = "Training loss of the logged steps by domain; a line rests where a phase does not train on its domain."
    return [Plot("Training loss of each domain", says, "tokens", "nats per token", series)]


def _held_out(phases: list[StageData]) -> list[Block]:
    """Held-out loss of each domain before the first phase and after every phase."""
    columns: list[tuple[str, dict[str, float]]] = []
    for phase in phases:
        if not columns:
            columns.append((f"before {phase.name}", _losses(phase, HELD_OUT[0])))
        columns.append((phase.name, _losses(phase, HELD_OUT[1])))
    if not columns:
        return [Missing("No phase is finished: there is no held-out loss.")]
    domains = [*sorted({name for _, losses in columns for name in losses} - set(TOTALS)), "mean"]
    rows = [(domain, *(number(losses.get(domain)) for _, losses in columns)) for domain in domains]
    table = Table(
        "Held-out loss in nats per token before the first phase and after each", ("domain", *dict(columns)), rows
    )
    ends, tokens = [], 0
    for phase in phases:
        tokens += phase.manifest.tokens if phase.manifest else 0
        ends.append((float(tokens), _losses(phase, HELD_OUT[1])))
    series = [Series(each, [(at, found[each]) for at, found in ends if each in found]) for each in domains]
    says = (
        "Held-out loss of each domain at the end of each phase. After a phase of longer context the sequences differ."
    )
    return [table, Plot("Held-out loss of each domain", says, "tokens", "nats per token", series)]


def _losses(phase: StageData, prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in phase.metrics.items() if name.startswith(prefix)}


def _others(run: RunData) -> list[Block]:
    """The loss of SFT and of the reward model."""
    blocks: list[Block] = []
    for stage in run.of("sft", "reward_model"):
        if points := curve(stage, "train/loss"):
            says = f"Loss of every logged step of {stage.name}."
            series = [Series(stage.name, points)]
            blocks.append(Plot(f"{stage.name}: training loss against tokens", says, "tokens", "loss", series))
    return blocks
