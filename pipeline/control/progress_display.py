"""Shows how far the stage is that runs: a line that changes on a terminal, a line now and then anywhere else."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm

from pipeline.core.terminal import one_line, say

PLAIN_SECONDS = 60.0
"""Time between two lines where there is no terminal."""
MINIMUM_BAR = 5
"""Columns of the bar below which something is left out of the text."""


class ProgressDisplay:
    """The line of a stage: which of how many it is, what it does, how fast, and the time left to it and to the run."""

    def __init__(
        self, name: str, place: str = "", after: Callable[[], tuple[float, bool]] = lambda: (0.0, True)
    ) -> None:
        """Shows nothing yet.

        Args:
            name: of the stage.
            place: which stage of how many it is, such as "5/26".
            after: gives the seconds that the stages after it will take, and whether all of them are known.
        """
        self._head = f"[{place}] {name}" if place else name
        self._after = after
        # Rows are given because tqdm draws nothing on terminals that do not tell theirs, as in some containers.
        self._bar: tqdm[Any] = tqdm(leave=False, disable=None, bar_format=self._head, ncols=80, nrows=24)
        self._said = time.monotonic()

    def show(self, progress: dict[str, Any] | None) -> None:
        """Shows what a stage wrote to its progress file; None if it wrote nothing yet."""
        # The terminal can be gone.
        with contextlib.suppress(OSError):
            if not self._bar.disable:
                self._draw(progress)
            elif time.monotonic() - self._said >= PLAIN_SECONDS:
                self._said = time.monotonic()
                say(f"fivephase: {self._head}: {next(_texts(progress, self._after(), time.time()))}")

    def say(self, line: str) -> None:
        """Prints a line above the one that changes."""
        with contextlib.suppress(OSError):
            self._bar.clear()
        say(line)

    def close(self) -> None:
        """Removes the line from the terminal."""
        with contextlib.suppress(OSError):
            self._bar.close()

    def _draw(self, progress: dict[str, Any] | None) -> None:
        total = progress["total"] if progress else None
        self._bar.total, self._bar.n = total, min(progress["done"], total) if progress and total else 0
        # The last column stays empty, where some terminals would begin a new line.
        columns = self._bar.ncols = shutil.get_terminal_size().columns - 1
        bar = "{bar} " if total else ""
        room = columns - len(self._head) - 1 - (MINIMUM_BAR + 1 if bar else 0)
        text = ""
        for text in _texts(progress, self._after(), time.time()):
            if len(text) <= room:
                break
        text = text.replace("{", "{{").replace("}", "}}")
        self._bar.bar_format = f"{self._head} {bar}{text}"
        self._bar.refresh()


def _texts(progress: dict[str, Any] | None, after: tuple[float, bool], now: float) -> Iterator[str]:
    """What there is to say beside the bar, and then ever less of it, for narrow terminals.

    Args:
        progress: as a stage wrote it; None if it wrote nothing yet.
        after: seconds for the stages after it, and whether these are all.
        now: the time, in seconds since 1970.
    """
    if progress is None:
        yield "starting"
        return
    label, counted, total, rate = (progress[key] for key in ("label", "counted", "total", "rate_per_second"))
    eta = progress["eta_seconds"]
    left = None if eta is None else max(0.0, eta - (now - progress["updated"]))
    later, all_known = after
    known = all_known and left is not None
    of_run = f"run {'' if known else '>'}{clock((left or 0.0) + later)}" if known or left or later else "run ?"
    if total is None:
        of_part = f"{clock(now - progress['began'])} so far"
    else:
        of_part = f"{'?' if left is None else clock(left)} left"
    if not counted:
        yield "  ".join([one_line(label, 40), of_part, of_run])
        return
    count = f"{progress['done']}/{total}" if total else f"{progress['done']}"
    speed = f"{rate:.3g}/s" if rate >= 1 else f"{1 / rate:.3g} s each" if rate else "?/s"
    notes = [f"{key}={value:.4g}" for key, value in progress["note"].items()]
    full = [f"{count} {counted}", speed, *notes, of_part, of_run]
    yield "  ".join([label, *full] if label else full)
    yield "  ".join(full)
    yield "  ".join([count, speed, *notes, of_part, of_run])
    yield "  ".join([count, speed, *notes[:1], of_part, of_run])
    yield "  ".join([count, speed, of_part, of_run])
    yield "  ".join([count, of_part, of_run])


def clock(seconds: float) -> str:
    """A time as M:SS, H:MM:SS, or days and hours."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24}d {hours % 24}h"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
