"""An evaluation outside a run's chain: any model, a suite, and a folder that holds what was found.

The folder has `settings.json` (which model, which settings), `parts/` while it is measured, and at last
`evaluation.json` and `evaluation.md`. A second call with the same model and settings goes on where the first one was
ended, or prints what it found.
"""

import dataclasses
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.config import fingerprint, relevant
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.core.lock import LOCKS, stage_lock
from pipeline.core.progress import Progress
from pipeline.core.terminal import say
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.model_source import ModelSource
from pipeline.evaluation.table import markdown

RESULT, TABLE, SETTINGS, PARTS = "evaluation.json", "evaluation.md", "settings.json", "parts"
EVALUATIONS = "evaluations"
"""Folder of evaluations, in a run's folder or that of all runs."""
IDENTITY_DIGITS = 8
SAID_EVERY_SECONDS = 60.0


class SaidProgress(Progress):
    """Progress that is said on standard error: a line when a part of the work begins, and one a minute within it."""

    def __init__(self) -> None:
        self._said = time.monotonic()
        super().__init__(None)

    def start(self, total: int | None, counted: str, label: str = "", done: int = 0) -> None:
        """Begins a part of the work; see `Progress.start`."""
        super().start(total, counted, label, done)
        if total:
            kept = f", {done:,} of them measured before" if done else ""
            say(f"fivephase: {label}, {total:,} {counted}{kept}")
            self._said = time.monotonic()

    def update(self, done: int) -> None:
        """Sets how much is done."""
        super().update(done)
        if self.total and time.monotonic() - self._said >= SAID_EVERY_SECONDS:
            self._said = time.monotonic()
            say(f"fivephase: {self.label}, {done:,} of {self.total:,} {self.counted}{self._left()}")

    def _left(self) -> str:
        """The time left at the rate so far, where there is one."""
        assert self.total is not None
        new = self.done - self._first
        if new <= 0 or self.total < self.done:
            return ""
        return f", about {(self.total - self.done) * (self._clock() - self._began) / new / 60:.0f} min left"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A model, what is to be measured of it, and the seed of what is drawn."""

    source: ModelSource
    suite: str
    """Name of the suite."""
    config: EvaluateConfig
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result, as plain values."""
        tokens = self.source.tokens
        return {
            "model": self.source.identity,
            "config": relevant(self.config),
            "content": self.config.data_fingerprint(),
            "tokens": tokens.manifest.content if tokens is not None else None,
            "seed": self.seed,
        }


def evaluate(evaluation: Evaluation, out: Path | None, root: Path) -> str:
    """Measures, writes and gives the table; a collective. What is finished already is not measured again.

    Args:
        evaluation: what is measured of which model.
        out: the folder; None is one in the run's `evaluations/`, or in that of `root` for a model of no run.
        root: folder of all runs.

    Raises:
        UserError: for what the model cannot be asked, and a folder with another evaluation.
    """
    identity = fingerprint(evaluation.settings)
    name = f"{evaluation.source.name}-{evaluation.suite}-{identity[:IDENTITY_DIGITS]}"
    folder = out if out is not None else (evaluation.source.run or root) / EVALUATIONS / name
    if (folder / SETTINGS).is_file():
        if read_json(folder / SETTINGS)["identity"] != identity:
            raise ConfigError(
                f"out={folder}: holds another model's evaluation, or one with other settings; name another folder, or "
                "leave out= away"
            )
        if (folder / RESULT).is_file():
            return _table(evaluation, read_json(folder / RESULT)["metrics"], folder)
    elif folder.exists() and (not folder.is_dir() or any(path.name != LOCKS for path in folder.iterdir())):
        raise ConfigError(f"out={folder}: holds other files; name a new folder, or leave out= away")
    if int(os.environ.get("RANK", "0")) != 0:
        return _measured(evaluation, folder, identity)
    try:
        with stage_lock(folder / "evaluation"):
            return _measured(evaluation, folder, identity)
    finally:
        # What is left of an evaluation that could not begin.
        for path in (folder / LOCKS, folder):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _measured(evaluation: Evaluation, folder: Path, identity: str) -> str:
    """Loads and measures the model, and writes what was found; a collective."""
    # What follows takes seconds to import.
    from transformers.utils.logging import disable_progress_bar

    from pipeline.evaluation.accuracy import ANSWERS, FLOORS
    from pipeline.evaluation.answers import Answer, write_answers
    from pipeline.evaluation.bench import Bench
    from pipeline.evaluation.evaluate import tokenizer_of
    from pipeline.evaluation.limits import check_model
    from pipeline.evaluation.parts import measure_parts
    from pipeline.evaluation.ranks import join_ranks
    from pipeline.inference.loading import load_model
    from pipeline.pretraining.engine.distributed import barrier, rank

    disable_progress_bar()
    join_ranks(int(os.environ.get("WORLD_SIZE", "1")))
    source, config = evaluation.source, evaluation.config
    bench = Bench(
        where=f"suite={evaluation.suite}",
        config=config,
        loaded=load_model(source.folder, config.precision, config.attention),
        folder=source.folder,
        tokens=source.tokens.directory / "tokens" if source.tokens is not None else None,
        tokenizer=tokenizer_of(source.tokens) if source.tokens is not None else None,
        seed=evaluation.seed,
        progress=SaidProgress() if rank() == 0 else Progress(None),
        state=folder / PARTS,
    )
    check_model(bench)
    described = {"model": str(source.folder), "suite": evaluation.suite, "seed": evaluation.seed}
    if rank() == 0:
        settings = {"config": dataclasses.asdict(config), "identity": identity}
        write_json(folder / SETTINGS, {**described, **settings})
    barrier()
    measured = measure_parts(bench)
    table = _table(evaluation, measured.metrics, folder)
    barrier()
    if rank() == 0:
        (folder / TABLE).write_text(table + "\n")
        if answers := measured.details.get(ANSWERS):
            write_answers(folder, [Answer(**each) for each in answers])
        found = {"metrics": measured.metrics, "samples": measured.samples, FLOORS: measured.details.get(FLOORS, {})}
        write_json(folder / RESULT, {**described, **found})
        shutil.rmtree(folder / PARTS)
    return table


def _table(evaluation: Evaluation, metrics: dict[str, float], folder: Path) -> str:
    heading = f"{evaluation.source.name}, suite {evaluation.suite}"
    return markdown(heading, metrics, str(folder))
