"""A picture of what a terminal showed: `python -m tools.terminal_picture "make smoke" < LOG > docs/images/smoke.svg`.

The argument is the command that was typed. The picture uses the reader's own font: nothing is fetched to show it.
"""

import io
import re
import sys

from rich.console import Console
from rich.text import Text

FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
COLORS = {
    r"\d[\d,.]*(?= s\b)": "cyan",
    r"^ *(?:prompt|answer|verdict):.*": "green",
    r"→": "magenta",
    r"^stage .*": "bold",
}


def picture(command: str, log: str) -> str:
    """The SVG of a terminal in which a command was typed and a log followed."""
    console = Console(record=True, width=102, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    for line in log.rstrip().splitlines():
        text = Text(line)
        for pattern, style in COLORS.items():
            text.highlight_regex(pattern, style)
        console.print(text)
    return FONTS.sub("", console.export_svg(title="fivephase")).replace("Fira Code", "ui-monospace")


if __name__ == "__main__":
    sys.stdout.write(picture(sys.argv[1], sys.stdin.read()))
