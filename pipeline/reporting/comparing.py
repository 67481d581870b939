"""Several runs side by side: what differs in their settings, and every number, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pipeline.core.config import canonical_json
from pipeline.core.files import read_json
from pipeline.reporting.blocks import UNKNOWN, Block, Folded, Missing, Plot, Report, Section, Series, Table, number
from pipeline.reporting.blocks import duration as readable
from pipeline.reporting.run_data import RunData, load_run
from pipeline.reporting.sections.cost import total_joules
from pipeline.reporting.sections.training import curve

SEED = "seed"
NOT_COMPARED = (SEED, "tracking", "resources", "verify_hashes", "executor")
"""Keys at the top of a configuration that make no other experiment of a run: they are told, not compared."""


@dataclass(frozen=True)
class Compared:
    """One of the runs that are laid side by side."""

    label: str
    """Its name; with its folder's, where two have the same."""
    run: RunData
    settings: dict[str, str]
    """Each setting by its dotted key; empty if the run does not say."""
    seed: str

    @property
    def numbers(self) -> dict[tuple[str, str], float]:
        """Every metric by stage and name."""
        return {(stage.name, name): value for stage in self.run.done for name, value in stage.metrics.items()}


@dataclass(frozen=True)
class Group:
    """Runs with the same settings, which differ in their seed at most."""

    name: str
    members: Sequence[Compared]

    def values(self, key: tuple[str, str]) -> list[float]:
        """A metric of each run that has it."""
        return [each.numbers[key] for each in self.members if key in each.numbers]

    def said(self, key: tuple[str, str]) -> str:
        """Mean and sample standard deviation of a metric over the runs."""
        return spread(self.values(key))


def compare(folders: Sequence[Path]) -> Report:
    """The comparison of some runs, finished or not.

    Args:
        folders: of the runs, two at least.
    """
    names = [folder.name for folder in folders]
    runs = []
    for folder in folders:
        label = folder.name if names.count(folder.name) == 1 else f"{folder.parent.name}/{folder.name}"
        settings, seed = _settings(folder)
        runs.append(Compared(label, load_run(folder), settings, seed))
    groups = grouped(runs)
    sections = [
        _runs(runs, groups),
        _differences(runs, groups),
        _headlines(runs, groups),
        _curves(runs),
        _all_numbers(runs, groups),
    ]
    return Report(f"Comparison of {', '.join(each.label for each in runs)}", _summary(runs, groups), sections)


def grouped(runs: Sequence[Compared]) -> list[Group]:
    """The runs by their settings without the seed, in the order in which they were named.

    Runs whose settings are not known are alone.
    """
    found: dict[str, list[Compared]] = {}
    for place, each in enumerate(runs):
        found.setdefault(canonical_json(each.settings) if each.settings else f"unknown {place}", []).append(each)
    return [Group(f"settings {place}", members) for place, members in enumerate(found.values(), 1)]


def _settings(folder: Path) -> tuple[dict[str, str], str]:
    try:
        found = read_json(folder / "run.json")["configuration"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}, ""
    if not isinstance(found, dict):
        return {}, ""
    compared = {key: value for key, value in found.items() if key not in NOT_COMPARED}
    return dict(_flat(compared)), str(found.get(SEED, ""))


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [pair for key, each in value.items() for pair in _flat(each, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, canonical_json(value))]


def _runs(runs: Sequence[Compared], groups: Sequence[Group]) -> Section:
    group_of = {id(member): group.name for group in groups for member in group.members}
    rows = []
    for each in runs:
        energy = total_joules(each.run)
        rows.append(
            (
                each.label,
                group_of[id(each)],
                each.seed or UNKNOWN,
                f"{len(each.run.done)} of {len(each.run.stages)}",
                readable(sum(stage.seconds for stage in each.run.stages)),
                "not known" if energy is None else f"{energy / 3.6e6:.3g}",
                " ".join(each.run.settings),
            )
        )
    header = ("run", "group", "seed", "stages done", "time", "energy, kWh", "overrides")
    blocks: list[Block] = [Table("The runs", header, rows)]
    for each in runs:
        blocks += [Missing(f"{each.label}: {problem}") for problem in each.run.problems]
        if not each.settings:
            blocks.append(Missing(f"{each.label}: its run.json has no settings, so that they cannot be compared."))
    return Section("runs", "Runs", blocks)


def _differences(runs: Sequence[Compared], groups: Sequence[Group]) -> Section:
    known = [group.members[0] for group in groups if group.members[0].settings]
    keys = sorted({key for each in known for key in each.settings})
    rows = [
        (key, *(each.settings.get(key, "(not set)") for each in known))
        for key in keys
        if len({each.settings.get(key) for each in known}) > 1
    ]
    if not rows:
        seeds = ", ".join(each.seed for each in runs if each.seed)
        return Section("settings", "Settings", [Missing(f"No setting differs besides seeds ({seeds or 'not known'}).")])
    names = [group.name for group in groups if group.members[0].settings]
    table = Table("Settings that differ", ("setting", *names), rows, numbers_from=len(names) + 1)
    return Section("settings", "Settings", [table])


def _headlines(runs: Sequence[Compared], groups: Sequence[Group]) -> Section:
    """What each stage reports of itself, and the accuracy of its model."""
    rows: list[tuple[str, ...]] = []
    for stage in _stages(runs):
        found = {each.label: _manifest(each, stage) for each in runs}
        measures = {
            manifest.measure for manifest in found.values() if manifest is not None and manifest.after is not None
        }
        for measure in sorted(measures):
            after = {
                label: manifest.after
                for label, manifest in found.items()
                if manifest is not None and manifest.measure == measure and manifest.after is not None
            }
            values = (number(after.get(each.label)) for each in runs)
            spreads = (spread([after[m.label] for m in group.members if m.label in after]) for group in groups)
            rows.append((stage, measure, *values, *spreads))
    header = ("stage", "measure", *(each.label for each in runs), *(f"{group.name}, mean ± sd" for group in groups))
    caption = "What each stage reports after its work; sd is the sample standard deviation over the runs of a group"
    return Section("headlines", "Side by side", [Table(caption, header, rows, numbers_from=2)])


def _curves(runs: Sequence[Compared]) -> Section:
    blocks: list[Block] = []
    for metric, caption, unit in (
        ("train/loss", "Training loss against tokens", "nats per token"),
        ("train/learning_rate", "Learning rate against tokens", "learning rate"),
    ):
        series = [
            Series(each.label, points)
            for each in runs
            if (points := sorted(point for phase in each.run.of("pretrain") for point in curve(phase, metric)))
        ]
        if series:
            blocks.append(Plot(caption, f"{caption}, one line for each run.", "tokens", unit, series))
    if not blocks:
        blocks = [Missing("None of these runs has logged steps of pretraining.")]
    return Section("curves", "Curves", blocks)


def _all_numbers(runs: Sequence[Compared], groups: Sequence[Group]) -> Section:
    blocks: list[Block] = []
    keys = sorted({key for each in runs for key in each.numbers})
    header = ("metric", *(each.label for each in runs), *(f"{group.name}, mean ± sd" for group in groups))
    for stage in _stages(runs):
        rows = [
            (key[1], *(number(each.numbers.get(key)) for each in runs), *(group.said(key) for group in groups))
            for key in keys
            if key[0] == stage
        ]
        if rows:
            blocks.append(Folded(f"{stage}: every metric", [Table(f"{stage}: every metric", header, rows)]))
    return Section("numbers", "Every metric", blocks or [Missing("None of these runs has a finished stage.")])


def _summary(runs: Sequence[Compared], groups: Sequence[Group]) -> list[str]:
    lines = [f"{len(runs)} runs with {len(groups)} different settings."]
    lines += [f"{group.name}: {', '.join(each.label for each in group.members)}." for group in groups]
    for metric in ("accuracy/mean", "loss/mean"):
        stages = [stage for stage in _stages(runs) if any((stage, metric) in each.numbers for each in runs)]
        if stages:
            said = "; ".join(f"{group.name} {group.said((stages[-1], metric))}" for group in groups)
            lines.append(f"{metric} of {stages[-1]}: {said}.")
    if all(len(group.members) == 1 for group in groups):
        lines.append("No settings were run with several seeds: nothing here says what chance alone changes.")
    return lines


def _stages(runs: Sequence[Compared]) -> list[str]:
    return list(dict.fromkeys(stage.name for each in runs for stage in each.run.done))


def _manifest(compared: Compared, stage: str) -> Any:
    return next((each.manifest for each in compared.run.done if each.name == stage), None)


def spread(values: Sequence[float]) -> str:
    """Mean and sample standard deviation, as far as there are several values."""
    if not values:
        return UNKNOWN
    return number(values[0]) if len(values) == 1 else f"{number(fmean(values))} ± {number(stdev(values), 2)}"
