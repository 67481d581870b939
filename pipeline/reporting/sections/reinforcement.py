"""Reinforcement learning: reward of each domain, divergence and length, and what verifiers say before and after."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from pipeline.reporting.blocks import Block, Missing, Plot, Section, Series, Table, number
from pipeline.reporting.run_data import RunData, StageData
from pipeline.reporting.sections.training import curve

OF_DOMAIN = re.compile(r"train/rewards/(.+)/mean")
MOST_FILES = 50
"""Files of completions that are read of a stage."""


def reinforcement(run: RunData) -> Section:
    """Reward, KL and length of each stage of RL."""
    stages = run.of("rl")
    blocks: list[Block] = [] if stages else [Missing("This run has no stage of reinforcement learning.")]
    for stage in stages:
        if stage.manifest is None and not stage.history:
            blocks.append(Missing(f"{stage.name}: {stage.state}."))
            continue
        blocks += [*_curves(stage), *_verified(stage)]
    return Section("rl", "Reinforcement learning", blocks)


def _curves(stage: StageData) -> list[Block]:
    metrics = sorted({name for step in stage.history for name in step.metrics})
    if not metrics:
        return [
            Missing(f"{stage.name}: it has no logged steps; it was made before there was a history of every stage.")
        ]
    rewards = [Series(match[1], curve(stage, name)) for name in metrics if (match := OF_DOMAIN.fullmatch(name))]
    blocks: list[Block] = []
    if all_of_them := curve(stage, "train/reward"):
        rewards = [Series("all", all_of_them), *[each for each in rewards if len(rewards) > 1]]
    for series, what, unit in (
        (rewards, "reward of each domain", "mean reward"),
        ([Series("KL", curve(stage, "train/kl"))], "divergence from the model it started from", "KL, nats per token"),
        (
            [
                Series(name, curve(stage, f"train/{metric}"))
                for name, metric in (("mean", "completions/mean_length"), ("longest", "completions/max_length"))
            ],
            "length of completions",
            "tokens",
        ),
    ):
        shown = [each for each in series if each.points]
        if shown:
            caption = f"{stage.name}: {what}"
            blocks.append(Plot(caption, f"{caption}, at every logged step.", "tokens", unit, shown))
    if lengths := lengths_of_domains(stage.directory / "completions"):
        steps = sorted({step for each in lengths.values() for step in each})
        rows = [(domain, *(number(each.get(step), 3) for step in steps)) for domain, each in sorted(lengths.items())]
        header = ("domain", *(f"step {step}" for step in steps))
        blocks.append(Table(f"{stage.name}: mean length of completions by domain, in characters", header, rows))
    return blocks


def lengths_of_domains(folder: Path) -> dict[str, dict[int, float]]:
    """By domain and step, the mean characters of the completions that a stage kept; empty without such files.

    A completion is of the domain in whose column it has a reward.
    """
    found: dict[str, dict[int, float]] = defaultdict(dict)
    files = sorted(folder.glob("completions_*.parquet"), key=lambda path: path.name)[:MOST_FILES]
    if not files:
        return {}
    import pyarrow
    import pyarrow.parquet

    for path in files:
        try:
            table = pyarrow.parquet.read_table(path)
            step = int(path.stem.rpartition("_")[2])
            names = set(table.column_names) - {"step", "prompt", "completion", "advantage"}
            texts = table.column("completion").to_pylist()
        except (OSError, ValueError, KeyError, pyarrow.ArrowException):
            continue
        for domain in sorted(name for name in names if "/" not in name):
            rewards = table.column(domain).to_pylist()
            own = [len(str(text)) for text, reward in zip(texts, rewards, strict=True) if _is_number(reward)]
            if own:
                found[domain][step] = sum(own) / len(own)
    return dict(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and value == value


def _verified(stage: StageData) -> list[Block]:
    metrics = stage.metrics
    domains = [
        name.removeprefix("verified/").removesuffix("/before")
        for name in metrics
        if name.startswith("verified/") and name.endswith("/before")
    ]
    if not domains:
        why = "its manifest has none" if stage.manifest else stage.state
        return [Missing(f"{stage.name}: no verified accuracy before and after ({why}).")]
    rows = []
    for domain in domains:
        part = {key: metrics.get(f"verified/{domain}/{key}") for key in ("before", "after", "change", "prompts")}
        low, high = (metrics.get(f"verified/{domain}/change_{end}") for end in ("low", "high"))
        interval = "" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
        beyond = "rose" if low is not None and low > 0 else "fell" if high is not None and high < 0 else "within chance"
        values = (number(part[key], 3) for key in ("prompts", "before", "after", "change"))
        rows.append((domain, *values, interval, beyond))
    header = ("domain", "prompts", "before", "after", "change", "90 % interval", "beyond it")
    return [Table(f"{stage.name}: verified accuracy on the same held-out prompts", header, rows)]
