"""When a stage that trains saves what it resumes from: after some minutes, and after some steps if that is set."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class SavingConfig:
    """How often a stage saves. What a stop in between costs is time, which steps of a published size do not tell."""

    save_every_minutes: PositiveFloat | None = field(default=15.0, metadata={"fingerprint": False})
    """Minutes between resumable checkpoints; null: none by time."""
    save_every_steps: PositiveInt | None = field(default=None, metadata={"fingerprint": False})
    """Steps between resumable checkpoints, in addition to those by time; null: none by steps."""


class SaveTimer:
    """Tells when the next checkpoint is due. Clocks differ: of several ranks, one decides for all."""

    def __init__(self, config: SavingConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts to count the minutes.

        Args:
            config: how often to save.
            clock: the time in seconds, for tests.
        """
        self._config, self._clock = config, clock
        self._saved = clock()

    def is_due(self, step: int) -> bool:
        """Whether to save after `step` steps, by either rule."""
        minutes, steps = self._config.save_every_minutes, self._config.save_every_steps
        by_steps = steps is not None and step % steps == 0
        return by_steps or (minutes is not None and self._clock() - self._saved >= 60 * minutes)

    def saved(self) -> None:
        """Begins the minutes to the next checkpoint; to be called when one has been written."""
        self._saved = self._clock()
