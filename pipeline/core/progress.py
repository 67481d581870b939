"""Progress of a stage as a small file, which the launcher's bar and `fivephase status` read."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pipeline.core.files import read_json

WRITE_EVERY_SECONDS = 0.5
"""Shortest time between two writes, except for the first and the last of a part."""

_WRITING = threading.RLock()
"""Stages that work in threads report from all of them."""


class Progress:
    """Counts finished work and writes count, rate and time left to a file, at most twice a second."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        """Starts with what comes before a stage's own work.

        Args:
            path: the file; None writes nothing, as on ranks other than 0.
            clock: the time in seconds, for tests.
        """
        self._path = path
        self._clock = clock
        self._written = 0.0
        self._longest: dict[str, float] = {}
        self.doing("starting")

    def doing(self, label: str) -> None:
        """Says what is done now that is not counted, such as "building the model"."""
        self.start(total=None, counted="", label=label)

    def start(self, total: int | None, counted: str, label: str = "", done: int = 0) -> None:
        """Begins a part of the work and sets its count.

        Args:
            total: how much there is to do, or None if that is not known.
            counted: what is counted, in the plural, e.g. "steps"; empty if nothing is.
            label: name of the part, shown beside the stage's.
            done: how much of it an attempt before this one did; it does not count for the rate.
        """
        self.total, self.counted, self.label, self.done = total, counted, label, done
        self._first, self._began = done, self._clock()
        self._note: dict[str, float] = {}
        self._write(force=True)

    def advance(self, count: int = 1) -> None:
        """Adds `count` to how much is done."""
        self.update(self.done + count)

    def update(self, done: int) -> None:
        """Sets how much is done, counted from the beginning of the part."""
        self.done = done
        self._write(force=self.total is not None and done >= self.total)

    def note(self, **values: float) -> None:
        """Sets numbers to show beside the bar, e.g. `loss=2.5`, until the part ends; the next write has them."""
        self._note.update(values)

    def took(self, what: Literal["step", "save"], seconds: float) -> None:
        """Remembers the longest step, the time between two looks at the stop flag, and the longest save of the attempt.

        The file has them as `longest_step_seconds` and `longest_save_seconds`: what a batch system's signal must come
        ahead of a time limit.
        """
        name = f"longest_{what}_seconds"
        with _WRITING:
            if seconds > self._longest.get(name, 0.0):
                self._longest[name] = seconds
                self._write(force=True)

    def _write(self, force: bool) -> None:
        with _WRITING:
            self._write_alone(force)

    def _write_alone(self, force: bool) -> None:
        now = self._clock()
        if self._path is None or (not force and now - self._written < WRITE_EVERY_SECONDS):
            return
        self._written = now
        elapsed = now - self._began
        rate = (self.done - self._first) / elapsed if elapsed > 0 else 0.0
        left = (self.total - self.done) / rate if self.total is not None and rate > 0 else None
        # Not synced to the disk: nothing depends on it after a crash.
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(
            json.dumps(
                {
                    "label": self.label,
                    "done": self.done,
                    "total": self.total,
                    "counted": self.counted,
                    "began": self._began,
                    "rate_per_second": rate,
                    "eta_seconds": left,
                    "note": self._note,
                    "updated": now,
                    **self._longest,
                }
            )
        )
        temporary.rename(self._path)


def read_progress(path: Path) -> dict[str, Any] | None:
    """What a stage last wrote to its progress file, or None if it wrote nothing yet or a crash cut it short."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None
