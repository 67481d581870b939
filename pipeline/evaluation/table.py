"""Metrics of an evaluation as a Markdown table, with what each is to be held against beside it."""

from collections.abc import Mapping

BESIDE = {
    "bits_per_byte": ("gzip_bits_per_byte", "xz_bits_per_byte"),
    "probe": ("probe_chance", "probe_gain"),
    "accuracy": ("in_format",),
    "needle_exact": ("needle_gain",),
}
"""Families of metrics with those that explain them: the same name behind another first part."""
NAMES = {
    "gzip_bits_per_byte": "gzip",
    "xz_bits_per_byte": "xz",
    "probe_chance": "by chance",
    "probe_gain": "gain in nats",
    "in_format": "in format",
    "needle_gain": "gain in nats",
}


def markdown(heading: str, metrics: Mapping[str, float], folder: str) -> str:
    """A heading, a row for each metric, and where the numbers are.

    Args:
        heading: what was measured.
        metrics: by name; the first part before a slash is the family.
        folder: of evaluation.json.
    """
    rows = [("measure", "value", "beside it")]
    beside = {each for others in BESIDE.values() for each in others}
    for name, value in metrics.items():
        family, _, rest = name.partition("/")
        if family in beside or name.endswith("_stderr"):
            continue
        said = [
            f"{NAMES[other]} {metrics[f'{other}/{rest}']:.4g}"
            for other in BESIDE.get(family, ())
            if f"{other}/{rest}" in metrics
        ]
        if (error := metrics.get(f"{name}_stderr")) is not None:
            said.append(f"± {error:.4g} (standard error)")
        rows.append((name, f"{value:.4f}", ", ".join(said)))
    # A metric whose family stands beside another that was not measured has a row of its own.
    for name, value in metrics.items():
        family, _, rest = name.partition("/")
        if family in beside and not any(
            f"{main}/{rest}" in metrics for main, others in BESIDE.items() if family in others
        ):
            rows.append((name, f"{value:.4f}", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_row(row, widths) for row in rows]
    rule = f"| {'-' * widths[0]} | {'-' * (widths[1] - 1)}: | {'-' * widths[2]} |"
    return "\n".join([f"# {heading}", "", lines[0], rule, *lines[1:], "", f"`{folder}`"])


def _row(row: tuple[str, ...], widths: list[int]) -> str:
    return f"| {row[0].ljust(widths[0])} | {row[1].rjust(widths[1])} | {row[2].ljust(widths[2])} |"
