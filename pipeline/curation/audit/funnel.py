"""The report of a finished curation or synthesis for a terminal: what each step of a domain did, with examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.core.files import read_json
from pipeline.core.terminal import one_line, text_table
from pipeline.curation.audit.losses import large_losses

HEADER = ("step", "in", "kept", "removed", "edited", "characters kept")
EXAMPLE_CHARACTERS = 80


def report_lines(directory: Path) -> list[str]:
    """Lines with the funnel of every domain, and for each reason some documents removed for it and some close to it.

    Args:
        directory: artifact of the stage. What it says of documents is escaped where it would not print. One that was
            made before its kind of stage wrote a report gives no line.
    """
    lines: list[str] = []
    if not (directory / "report.json").is_file():
        return lines
    for domain, report in sorted(read_json(directory / "report.json").items()):
        examples = read_json(directory / "examples" / f"{domain}.json")
        lines += ["", f"  {domain}: {report['in']:,} in, {report['kept']:,} kept, {report['bytes']:,} bytes"]
        lines += [f"    {row}" for row in _table(report["steps"])]
        lines += [f"    warning: {sentence}" for sentence in large_losses(report["steps"])]
        for step in report["steps"]:
            lines += [f"    {line}" for line in _reasons(step, examples)]
    return lines


def _table(steps: list[dict[str, Any]]) -> list[str]:
    rows: list[tuple[str, ...]] = [HEADER]
    for step in steps:
        numbers = (step["in"], step["kept"], step["removed"], step["edited"], step["characters_kept"])
        rows.append((step["step"], *(f"{number:,}" for number in numbers)))
    return text_table(rows, right=range(1, len(HEADER)))


def _reasons(step: dict[str, Any], examples: dict[str, Any]) -> Iterator[str]:
    removed, near = (examples[name].get(step["step"], {}) for name in ("removed", "near"))
    for kind, count in step["found"].items():
        yield f"{step['step']} found {count:,} {kind}"
    for reason in sorted({*step["reasons"], *near}):
        yield f"{step['step']} / {reason}: {step['reasons'].get(reason, 0):,} removed"
        for verb, rows in (("removed", removed.get(reason, ())), ("nearly", near.get(reason, ()))):
            for row in rows:
                yield f"  {verb:7s} {row['id'][:12]}  {_measured(row)}{one_line(row['excerpt'], EXAMPLE_CHARACTERS)}"


def _measured(row: dict[str, Any]) -> str:
    if row["value"] is None or row["threshold"] is None:
        return ""
    return f"{row['value']:.4g} of {row['threshold']:.4g}  "
