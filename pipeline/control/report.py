"""What a run shows of itself, read from its manifests alone: a line for a stage, the table of all, and all metrics."""

from pathlib import Path

from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.stage_folders import attempts
from pipeline.core.artifact import Manifest, read_manifest
from pipeline.core.errors import ArtifactError
from pipeline.core.progress import read_progress
from pipeline.core.terminal import one_line, text_table
from pipeline.stages import load_symbol, stage_type

SAMPLES_SHOWN = 3
SAMPLE_ORDER = ("prompt", "answer")
"""Parts of a sample that are shown first; the others follow in the order of their names."""
HEADER = ("stage", "seconds", "tokens", "measure", "before", "after")


def stage_line(manifest: Manifest) -> str:
    """The line that `fivephase run` prints when a stage is finished: seconds, documents, tokens, before and after."""
    parts = [f"{manifest.stage:24s} {manifest.seconds:6.1f} s"]
    if manifest.counts is not None:
        parts.append("{in} in, {kept} kept, {removed} removed".format(**manifest.counts))
    if manifest.tokens:
        parts.append(f"{manifest.tokens:,} tokens")
    if manifest.after is not None:
        change = f"{_formatted(manifest.before)} → " if manifest.before is not None else ""
        parts.append(f"{manifest.measure} {change}{_formatted(manifest.after)}")
    return "  ".join(parts)


def summary(stages: list[FrozenStage], root: str | Path) -> str:
    """The table of all stages, then samples of the last stage that has some, as `fivephase status` prints it.

    A stage that is not finished shows how far it is; one whose artifact was made with another configuration says so,
    and so does one whose manifest is damaged, with what to do about it below the table.
    """
    rows: list[tuple[str, ...]] = [HEADER]
    samples: list[dict[str, str]] = []
    damaged: list[str] = []
    seconds = peak = 0.0
    for stage in stages:
        directory = stage.directory(root)
        try:
            manifest = read_manifest(directory)
        except ArtifactError as error:
            damaged.append(str(error))
            rows.append((stage.stage, "damaged", "", "", "", ""))
            continue
        if manifest is None:
            rows.append((stage.stage, unfinished(directory), "", "", "", ""))
            continue
        stale = "" if manifest.fingerprint == stage.fingerprint else " (other configuration)"
        seconds += manifest.seconds
        peak = max(peak, manifest.peak_memory_bytes)
        samples = manifest.samples or samples
        rows.append(
            (
                stage.stage + stale,
                f"{manifest.seconds:.1f}",
                f"{manifest.tokens:,}" if manifest.tokens else "",
                manifest.measure,
                _formatted(manifest.before),
                _formatted(manifest.after),
            )
        )
    lines = [*text_table(rows, right=(1, 2, 4, 5), rule=True), *damaged, ""]
    lines.append(f"{seconds:.0f} s in stages, peak memory of a rank with its processes {peak / 2**30:.1f} GiB")
    lines.append(f"everything is in {Path(root) / stages[0].run}/")
    for sample in samples[:SAMPLES_SHOWN]:
        lines += ["", *(f"{key:>8}: {one_line(sample[key])}" for key in sorted(sample, key=_sample_position))]
    return "\n".join(lines)


def details(stages: list[FrozenStage], root: str | Path) -> str:
    """The summary, then every metric of every finished stage, as `fivephase report` prints it.

    Kinds of stages that have a function for it add lines of their own, such as the funnel of curation.
    """
    parts = [summary(stages, root)]
    for stage in stages:
        try:
            manifest = read_manifest(stage.directory(root))
        except ArtifactError:
            continue  # the summary says so
        if manifest is None:
            continue
        report = stage_type(manifest.kind, stage.stage).report
        parts.append(f"\n{stage.stage}")
        parts += [
            f"  {line}"
            for line in text_table([(key, f"{manifest.metrics[key]:g}") for key in sorted(manifest.metrics)])
        ]
        parts += load_symbol(report)(stage.directory(root)) if report else []
    return "\n".join(parts)


def _sample_position(key: str) -> tuple[int, str]:
    """Sort key of a part of a sample: the prompt, then the answer, then the rest by name."""
    return (SAMPLE_ORDER.index(key) if key in SAMPLE_ORDER else len(SAMPLE_ORDER), key)


def unfinished(directory: Path) -> str:
    """How far an unfinished stage is, by the progress file of its newest attempt; a dash if it was never started."""
    for attempt in attempts(directory):
        progress = read_progress(attempt / "progress.json")
        if progress is None:
            return "started"
        total, counted = progress["total"], progress.get("counted")
        if total:
            return f"{progress['done']}/{total}"
        return f"{progress['done']} {counted}" if counted else progress["label"] or "started"
    return "—"


def _formatted(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
