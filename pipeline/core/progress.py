"""Progress of a stage as a small file that anyone can watch: the launcher's bar, `fivephase status`, a watchdog."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.core.files import read_json

WRITE_EVERY_SECONDS = 0.5


class Progress:
    """Counts work done and publishes it to a file at most twice a second."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        """A null path counts without publishing: what ranks other than 0 do."""
        self._path = path
        self._clock = clock
        self._written = 0.0
        self.start(total=None, unit="steps")

    def start(self, total: int | None, unit: str, label: str = "", done: int = 0) -> None:
        """Begins a part of the work: `total` units to do, `done` of them by an earlier attempt."""
        self.total, self.unit, self.label, self.done = total, unit, label, done
        self._first, self._began = done, self._clock()
        self._note: dict[str, float] = {}
        self._write(force=True)

    def advance(self, count: int = 1) -> None:
        """Adds `count` units."""
        self.update(self.done + count)

    def update(self, done: int) -> None:
        """Sets the units done."""
        self.done = done
        self._write(force=self.total is not None and done >= self.total)

    def note(self, **values: float) -> None:
        """Values to show beside the bar, e.g. the loss."""
        self._note.update(values)

    def _write(self, force: bool) -> None:
        now = self._clock()
        if self._path is None or (not force and now - self._written < WRITE_EVERY_SECONDS):
            return
        self._written = now
        elapsed = now - self._began
        rate = (self.done - self._first) / elapsed if elapsed > 0 else 0.0
        left = (self.total - self.done) / rate if self.total is not None and rate > 0 else None
        # Not synced to the disk: it is only looked at, and lost progress is no loss.
        beside = self._path.with_suffix(".tmp")
        beside.write_text(
            json.dumps(
                {
                    "label": self.label,
                    "done": self.done,
                    "total": self.total,
                    "unit": self.unit,
                    "rate_per_second": rate,
                    "eta_seconds": left,
                    "note": self._note,
                    "updated": now,
                }
            )
        )
        beside.rename(self._path)


def read_progress(path: Path) -> dict[str, object] | None:
    """What a stage last published, or None."""
    return read_json(path) if path.exists() else None
