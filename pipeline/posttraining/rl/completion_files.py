"""Completions of some steps as Parquet, spread over a stage of RL: a file for each step, in the artifact.

TRL writes one for every row of metrics into the stage's state, with prompt, completion, the reward of each domain and
each part, and the advantage. A step that is trained again after an interruption writes its file anew.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

FOLDER = "completions"
"""Folder with the files, in the stage's state and then in its artifact."""


def kept_steps(total: int, every: int, count: int) -> set[int]:
    """The steps whose completions are kept: `count` at most, first and last among them, of those that are logged.

    Args:
        total: steps of the stage.
        every: steps between rows of metrics.
        count: how many to keep.
    """
    logged = [*range(every, total, every), total]
    if count < 2 or count >= len(logged):
        return set(logged[-count:] if count else [])
    return {logged[round(place * (len(logged) - 1) / (count - 1))] for place in range(count)}


class CompletionFiles(TrainerCallback):
    """Removes the files of steps that are not kept; rank 0 alone, as it alone writes them."""

    def __init__(self, state: Path, kept: set[int]) -> None:
        self._folder = state / FOLDER
        self._kept = kept

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Called before the file of this row is written: it looks at those of earlier ones."""
        if state.is_world_process_zero:
            self._thin()

    def publish(self, output: Path) -> None:
        """Copies the files that are kept into the artifact; rank 0 calls it, after training."""
        self._thin()
        if files := sorted(self._folder.glob("*.parquet")):
            (output / FOLDER).mkdir(parents=True, exist_ok=True)
            for file in files:
                shutil.copyfile(file, output / FOLDER / file.name)

    def _thin(self) -> None:
        for file in self._folder.glob("*.parquet"):
            if int(file.stem.rpartition("_")[2]) not in self._kept:
                file.unlink()
