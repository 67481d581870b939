"""What a part of an evaluation is given, and how ranks share its work so that nothing is measured twice.

A part is a function of a `Bench` that returns what it `Measured`. It divides its work into units, such as a window or a
document, that can be measured in any order and on any rank: `Bench.shared` has each of them measured once, on some
rank, and writes its result down at once, so that an attempt after a kill goes on behind it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.files import read_json, write_json
from pipeline.core.progress import Progress
from pipeline.evaluation.config import EvaluateConfig
from pipeline.inference.loading import LoadedModel
from pipeline.pretraining.engine.distributed import gather_objects, rank, world_size

Unit = TypeVar("Unit")


@dataclass(frozen=True)
class Measured:
    """What a part found, as plain values that JSON can hold."""

    metrics: dict[str, float]
    """Numbers by name."""
    tokens: int = 0
    """Tokens that the model read."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """Some examples to show, such as a prompt with answer and score."""
    details: dict[str, Any] = field(default_factory=dict)
    """What else is to be written, by names of the part's own."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A model under measurement, the same on every rank."""

    where: str
    """Place of the settings, for messages: `stages.evaluate_sft.config` or `suite=chat`."""
    config: EvaluateConfig
    loaded: LoadedModel
    folder: Path
    """The model's Hugging Face folder."""
    tokens: Path | None
    """The `tokens/` folder of the run that held-out documents are of; None without one."""
    tokenizer: Path | None
    """Folder of the tokenizer that made them; None takes the model's own."""
    seed: int
    """Of what is drawn: prompts, needles, probes. The same seed asks every model the same."""
    progress: Progress
    state: Path
    """Folder for results in the making."""
    floors: Mapping[str, Any] = field(default_factory=dict)
    """Floors that an earlier evaluation measured, by the names of scores: those of the same prompts are taken over."""
    between: Callable[[], None] = lambda: None
    """Called by all ranks between two units; may raise to end the work."""

    def shared(
        self, part: str, units: Sequence[Unit], measure: Callable[[Unit], Any], counted: str, label: str = ""
    ) -> list[Any]:
        """The result of each unit, in order, on every rank; a collective.

        Args:
            part: name of the results' files; no two calls of an evaluation have the same.
            units: the work, the same on every rank.
            measure: gives the result of a unit as plain JSON values, whatever was measured before it.
            counted: what a unit is, in the plural, for the progress.
            label: what is measured, for the progress; the part's name where it is empty.
        """
        done: dict[int, Any] = gather_objects(self._read(part) if rank() == 0 else None)[0]
        left = [number for number in range(len(units)) if number not in done]
        self.progress.start(len(units), counted=counted, label=label or part, done=len(done))
        self.state.mkdir(parents=True, exist_ok=True)
        own: dict[int, Any] = {}
        with (self.state / f"{part}-{rank()}.jsonl").open("a") as file:
            for start in range(0, len(left), world_size()):
                if start + rank() < len(left):
                    number = left[start + rank()]
                    own[number] = measure(units[number])
                    # A line of its own even behind one that a kill has cut short.
                    file.write(f"\n{json.dumps([number, own[number]])}\n")
                    file.flush()
                self.progress.advance(min(world_size(), len(left) - start))
                self.between()
        for each in gather_objects(own):
            done |= each
        return [done[number] for number in range(len(units))]

    def once(self, part: str, measure: Callable[["Bench"], Measured]) -> Measured:
        """What a part measures, from the file of its results where an attempt before finished it; a collective."""
        path = self.state / f"{part}.json"
        found = gather_objects(read_json(path) if rank() == 0 and path.is_file() else None)[0]
        if found is not None:
            return Measured(**found)
        measured = measure(self)
        if rank() == 0:
            write_json(path, asdict(measured))
        return measured

    def _read(self, part: str) -> dict[int, Any]:
        """Results that attempts before this one wrote down, whatever the number of their ranks."""
        found: dict[int, Any] = {}
        for path in sorted(self.state.glob(f"{part}-*.jsonl")):
            for line in path.read_text().splitlines():
                try:
                    number, result = json.loads(line)
                except ValueError:
                    continue  # empty, or cut short by a kill
                found[number] = result
        return found
