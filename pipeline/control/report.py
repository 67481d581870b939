"""What a run shows of itself, read from its manifests alone: the line of a stage, the table, the samples."""

from pathlib import Path

from pipeline.control.run import FrozenStage, attempts
from pipeline.core.artifact import Manifest, read_manifest
from pipeline.core.progress import read_progress
from pipeline.core.terminal import one_line, text_table
from pipeline.stages import load_symbol, stage_type

SAMPLES, SAMPLE_ORDER = 3, ("prompt", "answer")
HEADER = ("stage", "seconds", "tokens", "measure", "before", "after")


def stage_line(manifest: Manifest) -> str:
    """One line that says how a stage went."""
    parts = [f"{manifest.stage:24s} {manifest.seconds:6.1f} s"]
    if manifest.counts is not None:
        parts.append("{in} in, {kept} kept, {removed} removed".format(**manifest.counts))
    if manifest.tokens:
        parts.append(f"{manifest.tokens:,} tokens")
    if manifest.after is not None:
        change = f"{_number(manifest.before)} → " if manifest.before is not None else ""
        parts.append(f"{manifest.measure} {change}{_number(manifest.after)}")
    return "  ".join(parts)


def summary(stages: list[FrozenStage], root: str | Path) -> str:
    """The table of all stages: seconds, tokens, loss or reward before and after; then sample answers."""
    rows: list[tuple[str, ...]] = [HEADER]
    samples: list[dict[str, str]] = []
    seconds = peak = 0.0
    for stage in stages:
        directory = stage.directory(root)
        manifest = read_manifest(directory)
        if manifest is None:
            rows.append((stage.stage, _state(directory), "", "", "", ""))
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
                _number(manifest.before),
                _number(manifest.after),
            )
        )
    lines = [*text_table(rows, right=(1, 2, 4, 5), rule=True), ""]
    lines.append(f"{seconds:.0f} s in stages, peak memory of a process {peak / 2**30:.1f} GiB")
    lines.append(f"everything is in {stages[0].directory(root).parent}/")
    for sample in samples[:SAMPLES]:
        lines += ["", *(f"{key:>8}: {one_line(sample[key])}" for key in sorted(sample, key=_place))]
    return "\n".join(lines)


def details(stages: list[FrozenStage], root: str | Path) -> str:
    """The summary, then every metric of every finished stage, and what its kind has to tell."""
    parts = [summary(stages, root)]
    for stage in stages:
        manifest = read_manifest(stage.directory(root))
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


def _place(key: str) -> tuple[int, str]:
    """Where a part of a sample is shown: the prompt, then the answer, then the rest."""
    return (SAMPLE_ORDER.index(key) if key in SAMPLE_ORDER else len(SAMPLE_ORDER), key)


def _state(directory: Path) -> str:
    """What an unfinished stage is doing, as far as its files tell."""
    for attempt in attempts(directory):
        progress = read_progress(attempt / "progress.json")
        if progress is None:
            return "started"
        total = progress["total"]
        return f"{progress['done']}/{total}" if total else f"{progress['done']} {progress['unit']}"
    return "—"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
