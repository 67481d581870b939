"""From the folder of a run to its report, and from there to two files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.control.frozen_stages import FrozenStage
from pipeline.reporting.blocks import Missing, Report, Section
from pipeline.reporting.html import render_html
from pipeline.reporting.markdown import render_markdown
from pipeline.reporting.run_data import RunData, load_run
from pipeline.reporting.sections.chain import chain
from pipeline.reporting.sections.checkpoints import checkpoints
from pipeline.reporting.sections.cost import cost
from pipeline.reporting.sections.documents import conversations, curation
from pipeline.reporting.sections.evaluation import evaluation
from pipeline.reporting.sections.long_context import long_context
from pipeline.reporting.sections.mixtures import mixtures
from pipeline.reporting.sections.reinforcement import reinforcement
from pipeline.reporting.sections.training import training
from pipeline.reporting.sections.verdict import verdict

NAME = "report"
SECTIONS = (
    chain, curation, mixtures, training, long_context, conversations, reinforcement, evaluation, checkpoints, cost,
)  # fmt: skip
"""In the order in which they are shown: that of the chain."""
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, OSError)
"""What reading a file of an unexpected form can raise."""


def build_report(run: RunData) -> Report:
    """The report of a run, finished or not.

    A part that cannot be made of what the run left, such as files of another version, says so in its place.
    """
    try:
        lines = verdict(run)
    except UNREADABLE as error:
        lines = [f"Not to be said of what this run left ({type(error).__name__}: {error})."]
    return Report(f"Run {run.name}", lines, [_section(section, run) for section in SECTIONS])


def _section(make: Callable[[RunData], Section], run: RunData) -> Section:
    try:
        return make(run)
    except UNREADABLE as error:
        name = make.__name__.replace("_", " ")
        why = f"This part cannot be made of what the run left ({type(error).__name__}: {error})."
        return Section(make.__name__.replace("_", "-"), name.capitalize(), [Missing(why)])


def write_report(report: Report, folder: Path, name: str = NAME) -> tuple[Path, Path]:
    """Writes `<name>.html` and `<name>.md`, each of which appears whole, and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, text = folder / f"{name}.html", folder / f"{name}.md"
    _write(page, render_html(report))
    _write(text, render_markdown(report))
    return page, text


def report_run(folder: Path, planned: Sequence[FrozenStage] | None, problems: Sequence[str] = ()) -> Report:
    """Reads a run's folder and builds its report (see `load_run`)."""
    return build_report(load_run(folder, planned, problems))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # A text may hold half of a surrogate pair, which UTF-8 has no bytes for.
    temporary.write_text(text, encoding="utf-8", errors="replace")
    temporary.rename(path)
