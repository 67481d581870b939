"""What a stage logged over all its attempts, and what they cost: `history.jsonl` and `usage.json` beside the manifest.

Neither is one of the artifact's files: both say how the work went, with times that no second run repeats, while the
manifest's files are the same bytes for the same settings and seed.
"""

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.files import read_json, write_json
from pipeline.core.tracking import METRICS

HISTORY = "history.jsonl"
"""File of a finished stage with a row for each logged step, over all attempts."""
USAGE = "usage.json"
"""File of an attempt, written while it runs, and of a finished stage, with the sums of its attempts."""


@dataclass(frozen=True)
class LoggedStep:
    """What was logged of one step: a line of `history.jsonl`."""

    step: int
    """Of the stage, from 1. Of rows that were logged without one, their number of tokens."""
    tokens: int
    """Tokens trained until then; phases count those before them too."""
    attempt: int
    """The attempt whose step it is."""
    metrics: dict[str, float]
    """By the names that the stage logged them under."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What attempts cost. What could not be measured is None."""

    attempts: int = 0
    seconds: float = 0.0
    """Wall-clock time of all attempts together, whatever became of them."""
    repeated_tokens: int = 0
    """Tokens trained again because an attempt ended after its newest checkpoint, as far as steps were logged."""
    accelerator_joules: float | None = None
    """Energy of the accelerators of rank 0's machine, by NVML's counters."""
    processor_joules: float | None = None
    """Energy of the processor packages of rank 0's machine, by RAPL's counters."""
    hardware: list[str] = field(default_factory=list)
    """Machines of the attempts, each once."""
    nodes: int | None = None
    """Machines that the last attempt ran on; energy is that of the first."""


def read_history(directory: Path) -> list[LoggedStep]:
    """The logged steps of a stage, finished or not, in order; empty if it logged nothing.

    A finished stage's file is read; otherwise, as for one that was made before there was that file, its attempts are.
    """
    steps: list[LoggedStep] = []
    try:
        for line in (directory / HISTORY).read_text().splitlines():
            row = json.loads(line)
            steps.append(LoggedStep(int(row["step"]), int(row["tokens"]), int(row["attempt"]), dict(row["metrics"])))
    except (OSError, ValueError, KeyError, TypeError):
        return merged_attempts(directory)[0]
    return steps


def read_usage(directory: Path) -> Usage:
    """What a stage cost until now, finished or not."""
    try:
        found = read_json(directory / USAGE)
        names = {each.name for each in dataclasses.fields(Usage)}
        return Usage(**{name: value for name, value in found.items() if name in names})
    except (OSError, ValueError, TypeError, AttributeError):
        return _summed_usage(directory)


def write_history(directory: Path) -> None:
    """Writes both files of a stage that is about to be published; rank 0 alone calls it, with the stage's lock."""
    steps, _ = merged_attempts(directory)
    # The name of a file that `finish_publishing` removes, should a kill leave it.
    temporary = directory / f".history.json.{os.getpid()}"
    temporary.write_text("".join(json.dumps(dataclasses.asdict(each), sort_keys=True) + "\n" for each in steps))
    temporary.rename(directory / HISTORY)
    write_json(directory / USAGE, dataclasses.asdict(_summed_usage(directory)))


def merged_attempts(directory: Path) -> tuple[list[LoggedStep], int]:
    """The logged steps of all attempts as if none had been interrupted, and the tokens that were trained again.

    Which steps are logged depends on the step alone. So the first step that an attempt logs is the first to be logged
    after the checkpoint that it resumed from: its rows replace those of earlier attempts from that step on.
    """
    steps: dict[int, LoggedStep] = {}
    repeated = 0
    for attempt in _attempts(directory):
        found: dict[int, LoggedStep] = {}
        for row in _rows(attempt / METRICS):
            tokens = int(row.pop("tokens", 0))
            step = int(row.pop("step", tokens))
            numbers = {name: float(value) for name, value in row.items() if isinstance(value, int | float)}
            metrics = {name: value for name, value in numbers.items() if math.isfinite(value)}
            before = found.get(step)
            # A trainer may log a step's training and its measurements apart.
            found[step] = LoggedStep(step, tokens, int(attempt.name), {**(before.metrics if before else {}), **metrics})
        if not found:
            continue
        first = min(found)
        # An attempt that resumed from the last step's checkpoint logs what is measured after it, and trains on nothing.
        measures = first == max(steps, default=0) and not found[first].metrics.keys() & steps[first].metrics.keys()
        replaced = [] if measures else [each for step, each in steps.items() if step >= first]
        kept = {step: each for step, each in steps.items() if step < first}
        if replaced:
            repeated += max(each.tokens for each in replaced) - _tokens_before(kept, steps)
        for step in found.keys() & steps.keys():
            found[step] = dataclasses.replace(found[step], metrics={**steps[step].metrics, **found[step].metrics})
        steps = kept | found
    return [steps[step] for step in sorted(steps)], repeated


def _tokens_before(kept: dict[int, LoggedStep], steps: dict[int, LoggedStep]) -> int:
    """Tokens at the last step that is kept; if none is, those at the stage's beginning, by their growth."""
    if kept:
        return kept[max(kept)].tokens
    first, last = steps[min(steps)], steps[max(steps)]
    for_a_step = (last.tokens - first.tokens) / (last.step - first.step) if last.step > first.step else 0
    return max(0, round(first.tokens - first.step * for_a_step))


def _summed_usage(directory: Path) -> Usage:
    parts: list[dict[str, Any]] = []
    for attempt in _attempts(directory):
        with contextlib.suppress(OSError, ValueError):
            part = read_json(attempt / USAGE)
            if isinstance(part, dict):
                parts.append(part)
    return Usage(
        attempts=len(parts),
        seconds=sum(float(part.get("seconds", 0.0)) for part in parts),
        repeated_tokens=merged_attempts(directory)[1],
        accelerator_joules=_sum_if_all([part.get("accelerator_joules") for part in parts]),
        processor_joules=_sum_if_all([part.get("processor_joules") for part in parts]),
        hardware=list(dict.fromkeys(str(part["hardware"]) for part in parts if part.get("hardware"))),
        nodes=parts[-1].get("nodes") if parts else None,
    )


def _sum_if_all(values: list[float | None]) -> float | None:
    """Their sum, or None if one is not known: a part of the energy is not the energy."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _attempts(directory: Path) -> list[Path]:
    """The folders of a stage's attempts, oldest first."""
    found = [path for path in (directory / "attempts").glob("*") if path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an attempt's metrics; a line that a kill or a full disk cut short is left out."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row
