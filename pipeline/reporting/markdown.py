"""A report as Markdown, which shows foreign text as it is: no text can make a heading, a link or HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.reporting.blocks import Block, Folded, Missing, Plot, Points, Report, Table, Text
from pipeline.reporting.plots import data_table

ROWS_OF_PLOT = 12
SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")
"""What Markdown or its common extensions give a meaning inside a line."""


def render_markdown(report: Report) -> str:
    """The whole document, with fewer rows of each plot than the page has."""
    parts = [f"# {escaped(report.title)}", "## Verdict", "\n".join(f"- {escaped(line)}" for line in report.summary)]
    for section in report.sections:
        parts.append(f"## {escaped(section.title)}")
        for block in section.blocks:
            parts += _lines(block)
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """A text on one line that Markdown shows as it is."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", flat)


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield escaped(block.text)
    elif isinstance(block, Missing):
        yield f"**Missing:** {escaped(block.text)}"
    elif isinstance(block, Points):
        yield "\n".join(f"- {escaped(item)}" for item in block.items)
    elif isinstance(block, Table):
        yield f"**{escaped(block.caption)}**"
        yield _table(block)
    elif isinstance(block, Plot):
        yield from _lines(data_table(block, ROWS_OF_PLOT))
    elif isinstance(block, Folded):
        yield f"### {escaped(block.summary)}"
        for each in block.blocks:
            yield from _lines(each)


def _table(block: Table) -> str:
    columns = range(len(block.header))
    rule = ["---:" if column >= block.numbers_from and not block.texts else "---" for column in columns]
    rows = [[escaped(cell) for cell in row] for row in (block.header, *block.rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]])
