"""How long before the end of a batch job a stage is told to save: long enough for a step and a save, twice."""

import math
import re
from pathlib import Path
from typing import Any

from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.stage_folders import attempts
from pipeline.core.errors import ConfigError
from pipeline.core.progress import read_progress
from pipeline.stages import stage_type

SLACK_SECONDS = 60
"""A batch system may send its signal so much later than it was asked to (`man sbatch`, --signal)."""
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})")
"""Slurm's times: M, M:S, H:M:S, and D-H, D-H:M, D-H:M:S."""


def lead_seconds(stage: FrozenStage, directory: Path, limit: float = math.inf) -> int:
    """60 s and twice the longest step and the longest save, together, of the newest attempts that measured one.

    What held up an attempt before these, such as a file system that hung, no longer counts. Until there is a save to
    measure, it is no less than what the kind of stage states, or a quarter of the time limit where that is shorter: a
    job that is told to save as soon as it starts gets nowhere.

    Args:
        stage: of a kind that can save.
        directory: its folder; it need not be there.
        limit: seconds that the job has.

    Raises:
        ConfigError: if the job has less than twice the time that its signal must come before the end.
    """
    stated = stage_type(stage.kind, stage.stage).lead_seconds
    assert stated is not None, stage.kind
    found = [read_progress(attempt / "progress.json") or {} for attempt in attempts(directory)]
    step, save = (
        next((seconds for each in found if (seconds := _number(each, key)) > 0), 0.0)
        for key in ("longest_step_seconds", "longest_save_seconds")
    )
    measured = math.ceil(SLACK_SECONDS + 2 * (step + save))
    if step + save > 0 and limit < 2 * measured:
        raise ConfigError(
            f"stages.{stage.stage}.resources.time={stage.resources['time']}: a step took {step:.0f} s and a save "
            f"{save:.0f} s, so that the job must be told to save {measured} s before its end; set "
            f"{math.ceil(2 * measured / 60)} minutes or more, or submit with -- --signal=B:USR1@<seconds>"
        )
    return measured if save > 0 else max(measured if step > 0 else 0, int(min(stated, limit / 4)))


def _number(progress: dict[str, Any], key: str) -> float:
    """A number of a progress file, at the top or among those shown beside the bar; 0 if it has none."""
    value = progress.get(key, progress.get("note", {}).get(key))
    return float(value) if isinstance(value, int | float) else 0.0


def time_seconds(time: str) -> float:
    """Seconds of a time limit as Slurm writes it; infinite for none, which is also what zero means to Slurm.

    Raises:
        ValueError: for what Slurm would not take.
    """
    if time.lower() in ("infinite", "unlimited"):
        return math.inf
    found = TIME.fullmatch(time)
    if found is None:
        raise ValueError(f"{time}: no time, write HH:MM:SS or D-HH:MM:SS")
    parts = [int(part) for part in found["clock"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        hours += int(found["days"]) * 24
    else:
        hours, minutes, seconds = parts if len(parts) == 3 else [0, *parts, 0][:3]
    return (hours * 60 + minutes) * 60 + seconds or math.inf
