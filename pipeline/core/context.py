"""What a stage's function takes and returns, the seeds of its random streams, and the signals that stop it."""

import hashlib
import random
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar

from pipeline.core.artifact import PARTIAL, STATE, Artifact, load
from pipeline.core.progress import Progress
from pipeline.core.stop_signals import STOP_SIGNALS
from pipeline.core.tracking import Tracker

ConfigT = TypeVar("ConfigT")
ATTEMPT_VARIABLE = "FIVEPHASE_ATTEMPT"
"""Environment variable with the number of the attempt, which all ranks must agree on."""
FINGERPRINT_VARIABLE = "FIVEPHASE_FINGERPRINT"
"""Environment variable with the fingerprint of the stage that was launched, which its folder must still have."""
PARENT_PIPE_VARIABLE = "FIVEPHASE_PARENT_PIPE"
"""Environment variable that is set if standard input is a pipe that closes when the launcher ends."""


def derive_seed(seed: int, stage: str, name: str) -> int:
    """The 63-bit seed of a named random stream: a function of the run's seed and the names of stage and stream."""
    digest = hashlib.sha256(f"{seed}/{stage}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class StopFlag:
    """Remembers that a stop signal came, so that the stage can look at it where it is able to save."""

    def __init__(self) -> None:
        self.raised = False

    def listen(self, signals: Iterable[signal.Signals] = STOP_SIGNALS) -> None:
        """Installs the signal handlers; must be called in the main thread."""
        for number in signals:
            signal.signal(number, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = True


@dataclass
class StageResult:
    """What a stage's function returns: numbers and examples for the manifest. Only that of rank 0 is used."""

    metrics: dict[str, float] = field(default_factory=dict)
    """Numbers by name, for the manifest, the tracker and the report."""
    measure: str = ""
    """What `before` and `after` measure, e.g. "mean reward"."""
    before: float | None = None
    after: float | None = None
    tokens: int = 0
    """Tokens that were trained on, or written."""
    counts: dict[str, int] | None = None
    """`in`, `kept` and `removed` documents or samples, if the stage filters any."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """A few examples to show: `prompt` and `answer`, or what fits."""

    def __post_init__(self) -> None:
        if self.counts is not None:
            assert self.counts["in"] == self.counts["kept"] + self.counts["removed"], self.counts


@dataclass
class StageContext(Generic[ConfigT]):
    """What one rank is given to run a stage: settings, inputs, folders, seeds, and where to report progress."""

    stage: str
    config: ConfigT
    inputs: dict[str, Artifact]
    """Artifacts of the stages that are read, by role, checked against their manifests."""
    directory: Path
    """The stage's folder, `<root>/<run>/<stage>`."""
    seed: int
    rank: int
    local_rank: int
    world_size: int
    progress: Progress
    tracker: Tracker
    stop: StopFlag
    _looked: float | None = field(default=None, init=False)
    """When the stage last looked at the stop flag."""

    @property
    def output(self) -> Path:
        """The folder for outputs, made if it is missing; at the end all in it moves into the stage's folder."""
        path = self.directory / PARTIAL
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def state(self) -> Path:
        """The folder for what an interrupted attempt continues from, made if it is missing and removed at the end."""
        path = self.directory / STATE
        path.mkdir(parents=True, exist_ok=True)
        return path

    def stop_requested(self) -> bool:
        """Whether a stop signal came to this rank. If so, save and raise `pipeline.core.errors.Requeue`.

        Ranks get signals at different times: those that work together must agree before they act on it. The longest
        time between two calls is what the progress file has as `longest_step_seconds`.
        """
        now = time.monotonic()
        if self._looked is not None:
            self.progress.took("step", now - self._looked)
        self._looked = now
        return self.stop.raised

    @contextmanager
    def no_step(self) -> Iterator[None]:
        """What is done inside, such as loading a checkpoint, does not count as a step's time."""
        yield
        self._looked = None

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around saving what an interrupted attempt continues from, whose longest time the progress file has."""
        began = time.monotonic()
        with self.no_step():
            yield
        self.progress.took("save", time.monotonic() - began)

    def derive_seed(self, name: str) -> int:
        """The 63-bit seed of one of the stage's named random streams; the same on all ranks."""
        return derive_seed(self.seed, self.stage, name)

    def random(self, name: str) -> random.Random:
        """A random generator of the standard library with the seed of a named stream; the same on all ranks."""
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
        """A context for tests: one rank, outside a run, without progress file and tracker.

        Args:
            stage: its name, which the random streams depend on.
            config: its settings.
            inputs: by role, artifacts or folders of finished stages.
            directory: the stage's folder.
            seed: the run's seed.
        """
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
