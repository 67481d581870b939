"""What `fivephase report` says of a finished evaluation beside its metrics: scores with what they are held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.files import read_json
from pipeline.core.terminal import text_table

EVALUATION = "evaluation.json"
SCORES = ("accuracy", "", "floor", "chance", "prompts", "unfinished")
"""Heads of the table of scores: the second is of the interval."""


def report_lines(directory: Path) -> list[str]:
    """A row for every domain and split, then what changed against the checkpoint before, then what the gates said.

    Of an evaluation without answers, or of an older version, nothing.

    Args:
        directory: a finished stage's folder.
    """
    path = directory / EVALUATION
    if not path.is_file():
        return []
    written = read_json(path)
    lines = [*score_table(written.get("metrics", {})), *_changes(written.get("changes", {}))]
    return [f"  {line}" for line in [*lines, *(f"warning: {each}" for each in written.get("warnings", []))]]


def score_table(metrics: dict[str, float]) -> list[str]:
    """Accuracy with its 95 % interval, floor, chance and the number of prompts, by split and domain."""
    lines: list[str] = []
    for split in ("", "_train", "_instances"):
        domains = [
            name.partition("/")[2]
            for name in metrics
            if name.startswith(f"prompts{split}/") and f"floor{split}/{name.partition('/')[2]}" in metrics
        ]
        if not domains:
            continue
        title = {"": "new phrasings", "_train": "seen phrasings", "_instances": "new instances"}[split]
        rows: list[tuple[str, ...]] = [(title, *SCORES)]
        for domain in [*domains, "mean"]:
            low, high = (metrics[f"accuracy{split}/{domain}/{end}"] for end in ("low", "high"))
            accuracy, floor, chance, unfinished = (
                f"{metrics[f'{name}{split}/{domain}']:.3f}" for name in ("accuracy", "floor", "chance", "unfinished")
            )
            prompts = f"{metrics[f'prompts{split}/{domain}']:.0f}" if domain != "mean" else ""
            rows.append((domain, accuracy, f"{low:.3f} to {high:.3f}", floor, chance, prompts, unfinished))
        lines += text_table(rows, right=(1, 3, 4, 5, 6), rule=True)
    return lines


def _changes(changes: dict[str, dict[str, Any]]) -> list[str]:
    if not changes:
        return []
    rows: list[tuple[str, ...]] = [("against before", "before", "after", "change", "90 %", "p", "prompts")]
    for name, each in changes.items():
        rows.append(
            (
                name,
                f"{each['before']:.3f}",
                f"{each['after']:.3f}",
                f"{each['change']:+.3f}",
                f"{each['low']:+.3f} to {each['high']:+.3f}",
                f"{each['p']:.2g}",
                str(each["prompts"]),
            )
        )
    return text_table(rows, right=(1, 2, 3, 5, 6), rule=True)
