"""Plots as SVG by matplotlib, without a display: the same bytes for the same numbers, in the colors of the page."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

from pipeline.reporting.blocks import Plot, Table, number

SERIES_COLORS = 6
"""Colors of the page's style, `--series-0` and so on: told apart by who is color-blind, in both schemes."""
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Line style and marker differ as well: no series is known by its color alone."""
MARKED_POINTS = 40
"""Lines of more points than that have no marker at each."""
WIDTH, HEIGHT = 8.0, 3.6
"""Inches."""
INK, FAINT = "#b00001", "#b00002"
"""Stand for the page's colors of text and rules until the drawing is done."""


def svg(plot: Plot, place: int) -> str:
    """The plot as an `<svg>` element without a title, which the page gives it.

    Args:
        plot: what to draw. Its texts are drawn as they are, whatever they hold.
        place: of the plot on the page, for ids that no other plot has.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"plot {place}",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 9.0,
        "axes.unicode_minus": False,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Of characters that the font lacks: the page's own fonts show them.
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.patch.set_alpha(0.0)
        _draw(figure.add_subplot(), plot)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_page(file.getvalue(), place)


def data_table(plot: Plot, most: int = 400) -> Table:
    """The numbers of a plot as a table: x, then a column for each series.

    Args:
        plot: whose numbers.
        most: rows, at most about; of more, every n-th stays.
    """
    values = [dict(series.points) for series in plot.series]
    places = sorted({x for points in values for x in points})
    every = -(-len(places) // most) or 1
    shown = [x for place, x in enumerate(places) if place % every == 0 or place == len(places) - 1]
    rows = [(number(x), *(number(points.get(x)) if x in points else "" for points in values)) for x in shown]
    header = (plot.x, *(series.name for series in plot.series))
    return Table(f"Numbers of “{plot.caption}”", header, rows)


def _draw(axes: Any, plot: Plot) -> None:
    axes.patch.set_alpha(0.0)
    for place, series in enumerate(plot.series):
        x, y = [point[0] for point in series.points], [point[1] for point in series.points]
        color = f"#a0000{place % SERIES_COLORS}"
        axes.plot(
            x,
            y,
            color=color,
            linestyle=DASHES[place // SERIES_COLORS % len(DASHES)],
            marker=MARKERS[place % len(MARKERS)] if len(x) <= MARKED_POINTS else None,
            markersize=4,
            linewidth=1.6,
        )
        if series.band:
            low, high = zip(*series.band, strict=True)
            axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    if plot.log_x:
        axes.set_xscale("log", base=2)
        places = sorted({point[0] for series in plot.series for point in series.points})
        axes.set_xticks(places, [f"{place:,.0f}" for place in places])
        axes.minorticks_off()
    for x, name in plot.marks:
        axes.axvline(x, color=FAINT, linewidth=0.8, linestyle=":")
        axes.annotate(
            name, (x, 1), xycoords=("data", "axes fraction"), rotation=90, ha="right", va="top", fontsize=7, color=INK
        )
    axes.set_xlabel(plot.x, color=INK)
    axes.set_ylabel(plot.y, color=INK)
    axes.tick_params(colors=INK)
    axes.grid(color=FAINT, linewidth=0.4)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    for text in (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()):
        text.set_color(INK)
    if len(plot.series) > 1:
        # By handles: a label that begins with an underscore would be left out.
        axes.legend(
            axes.lines[: len(plot.series)],
            [series.name for series in plot.series],
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            labelcolor=INK,
            fontsize=8,
            handlelength=3.5,
        )


def _for_page(drawn: str, place: int) -> str:
    """The element alone, with the page's colors and ids of its own."""
    drawn = drawn[drawn.index("<svg") :].strip()
    drawn = re.sub(r"<metadata>.*?</metadata>\s*", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'\bid="', f'id="plot{place}-', drawn)
    drawn = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>plot{place}-", drawn)
    drawn = re.sub(r"#a0000(\d)", r"var(--series-\1)", drawn)
    drawn = drawn.replace(INK, "var(--ink)").replace(FAINT, "var(--faint)")
    # The page says how large it is.
    return re.sub(r'^(<svg [^>]*?)\s*width="[^"]*"', r"\1", re.sub(r'^(<svg [^>]*?)\s*height="[^"]*"', r"\1", drawn))
