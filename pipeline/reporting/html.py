"""A report as one HTML file: nothing is fetched, nothing runs, and all foreign text is escaped by the template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from pipeline.reporting.blocks import Plot, Report, Table
from pipeline.reporting.plots import data_table, svg

TEMPLATE = "report.html.jinja"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content Security Policy: should a text ever get past the escaping, the browser runs and fetches nothing of it."""
FOLLOWER = """
const main = document.querySelector("main");
let known = document.documentElement.dataset.version;
setInterval(async () => {
  try {
    const version = await (await fetch("/version")).text();
    if (version === known) return;
    const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
    const open = new Set([...main.querySelectorAll("details[open]")].map((each) => each.id));
    const focused = document.activeElement && document.activeElement.id;
    main.replaceChildren(...page.querySelector("main").childNodes);
    for (const each of main.querySelectorAll("details")) if (open.has(each.id)) each.open = true;
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus({preventScroll: true});
    document.getElementById("following").textContent = "Updated " + new Date().toLocaleTimeString();
    known = page.documentElement.dataset.version;
  } catch (error) {
    document.getElementById("following").textContent = "fivephase serve-report no longer answers";
  }
}, 2000);
"""
"""Script of the page that `fivephase serve-report` serves: puts a newer report into the place of the old one."""


def render_html(report: Report, version: str | None = None) -> str:
    """The whole page, which needs no other file.

    Args:
        report: what it shows.
        version: of the report, for a page that is served and looks for newer ones; None for a file, which has no
            script.
    """
    source = (files("pipeline.reporting") / TEMPLATE).read_text()
    environment = Environment(
        loader=DictLoader({TEMPLATE: source}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    policy = POLICY
    if version is not None:
        digest = base64.b64encode(hashlib.sha256(FOLLOWER.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'; connect-src 'self'"
    return environment.get_template(TEMPLATE).render(
        report=report,
        policy=policy,
        version=version,
        follower=Markup(FOLLOWER),
        kind=lambda block: type(block).__name__,
        draw=_drawing(),
        data_table=data_table,
        next_number=_counter(),
        is_number_column=_is_number_column,
    )


def _drawing() -> Callable[[Plot, int], Markup]:
    """Draws plots; matplotlib has escaped what texts it drew."""
    return lambda plot, place: Markup(svg(plot, place))


def _counter() -> Callable[[], int]:
    numbers = iter(range(1, 1_000_000))
    return lambda: next(numbers)


def _is_number_column(table: Table, column: int) -> bool:
    return not table.texts and column >= table.numbers_from
