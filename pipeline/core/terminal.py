"""Text for a terminal: tables with aligned columns, and lines of foreign text that cannot move the cursor."""

import codecs
import contextlib
import io
import sys
import unicodedata
from collections.abc import Collection, Sequence
from typing import TextIO

PLAIN = {"─": "-", "—": "-", "→": "->", "…": "...", "×": "x"}
"""What is printed of characters that a terminal's encoding does not have; a question mark of others."""


def replace_unencodable(stream: TextIO) -> None:
    """Makes a stream print what its encoding does not have in plain characters, where it would raise otherwise."""
    if isinstance(stream, io.TextIOWrapper):
        codecs.register_error("fivephase", _plain)
        stream.reconfigure(errors="fivephase")


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(PLAIN.get(each, "?") for each in error.object[error.start : error.end]), error.end


def say(line: str) -> None:
    """Prints a line on standard error, if that is still there: a terminal can be closed while a stage saves."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def one_line(text: str, width: int = 160) -> str:
    """The text on one line, cut after `width` characters with an ellipsis.

    A text with anything that does not print (line ends, control sequences) is shown with Python's escapes: what a page
    or a model says must not be able to clear the screen or color it.
    """
    escaped = text if text.isprintable() else text.encode("unicode_escape").decode()
    return escaped if len(escaped) <= width else f"{escaped[:width]}…"


def visible(text: str) -> str:
    """The text as it may go to a terminal while it is being made: over several lines, and without any power there.

    Line ends, tabs and all that is read stay. Everything else that steers a terminal or reorders what is read comes as
    Python's escape: control sequences, marks of writing direction, code points without a character.
    """
    return "".join(character if _is_harmless(character) else _escaped(character) for character in text)


def _is_harmless(character: str) -> bool:
    # Joiners are part of writing Persian, Hindi and composed emoji.
    return character.isprintable() or character in "\n\t\u200c\u200d" or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def text_table(rows: Sequence[Sequence[str]], right: Collection[int] = (), rule: bool = False) -> list[str]:
    """Rows of equally many cells as lines, each column as wide as its widest cell, with two spaces between columns.

    Args:
        rows: the cells, the header first if there is one.
        right: columns aligned to the right, counted from 0; the others are aligned to the left.
        rule: draw a line below the first row.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("─" * width for width in widths), *lines[1:]] if rule and lines else lines
