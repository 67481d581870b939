"""What a stage is given, and what it gives back."""

import hashlib
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar

from pipeline.core.artifact import (
    PARTIAL,
    STATE,
    Artifact,
    load,
)
from pipeline.core.progress import Progress
from pipeline.core.tracking import Tracker

ConfigT = TypeVar("ConfigT")
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


def derive_seed(seed: int, stage: str, name: str) -> int:
    """The 63-bit seed of a stage's named random stream, from the run's seed."""
    digest = hashlib.sha256(f"{seed}/{stage}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class StopFlag:
    """Remembers that a stop signal came; the stage looks at it where it can save."""

    def __init__(self) -> None:
        self.raised = False

    def listen(self) -> None:
        """Installs the handlers, in the main thread."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = True


@dataclass
class StageResult:
    """What a stage says of itself."""

    metrics: dict[str, float] = field(default_factory=dict)
    """Flat; goes into the manifest, the tracker and the report."""
    measure: str = ""
    """What `before` and `after` measure, e.g. "mean reward"."""
    before: float | None = None
    after: float | None = None
    tokens: int = 0
    """Tokens trained on, or written."""
    counts: dict[str, int] | None = None
    """`in`, `kept` and `removed`."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """A few examples to show: `prompt` and `answer`, or what fits."""

    def __post_init__(self) -> None:
        if self.counts is not None:
            assert self.counts["in"] == self.counts["kept"] + self.counts["removed"], self.counts


@dataclass
class StageContext(Generic[ConfigT]):
    """One rank's view of the stage it runs."""

    stage: str
    config: ConfigT
    inputs: dict[str, Artifact]
    """Upstream artifacts by role, verified."""
    directory: Path
    """`<run>/<stage>`."""
    seed: int
    rank: int
    local_rank: int
    world_size: int
    progress: Progress
    tracker: Tracker
    stop: StopFlag

    @property
    def output(self) -> Path:
        """Where outputs are written. Each child moves into the stage's folder when the stage is done."""
        path = self.directory / PARTIAL
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def state(self) -> Path:
        """Resumable state, kept between attempts and removed when the stage is done."""
        path = self.directory / STATE
        path.mkdir(parents=True, exist_ok=True)
        return path

    def stop_requested(self) -> bool:
        """True once a stop signal came to this rank: save, then raise `pipeline.core.errors.Requeue`."""
        return self.stop.raised

    def derive_seed(self, name: str) -> int:
        """The 63-bit seed of a named random stream, a function of the run's seed, the stage and the name."""
        return derive_seed(self.seed, self.stage, name)

    def random(self, name: str) -> random.Random:
        """A named stream of the standard library."""
        return random.Random(self.derive_seed(name))

    @classmethod
    def for_test(
        cls,
        stage: str,
        config: ConfigT,
        inputs: dict[str, Any],
        directory: Path,
        seed: int = 0,
    ) -> "StageContext[ConfigT]":
        """A single-rank context outside a run; inputs are artifacts, or folders of finished stages."""
        directory.mkdir(parents=True, exist_ok=True)
        artifacts = {role: each if isinstance(each, Artifact) else load(each) for role, each in inputs.items()}
        return cls(
            stage=stage,
            config=config,
            inputs=artifacts,
            directory=directory,
            seed=seed,
            rank=0,
            local_rank=0,
            world_size=1,
            progress=Progress(None),
            tracker=Tracker(None, "test", stage, directory),
            stop=StopFlag(),
        )


ATTEMPT = "FIVEPHASE_ATTEMPT"


PARENT_PIPE = "FIVEPHASE_PARENT_PIPE"
