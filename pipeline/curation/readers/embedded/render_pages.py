"""Renders pydoc pages: `python -m pipeline.curation.readers.embedded.render_pages MODULE...` prints JSON lines."""

import contextlib
import importlib
import inspect
import json
import os
import pydoc
import re
import sys
import sysconfig
import types
import warnings
from collections.abc import Iterator

MINIMUM_DOCUMENTATION = 250
"""Characters. A page about an object with less would be a signature and boilerplate."""
MAXIMUM_PAGE = 60_000
"""Characters. The page of a class with hundreds of methods repeats their own pages."""
ADDRESS = re.compile(r"(?:\s|&nbsp;)at(?:\s|&nbsp;)0x[0-9a-fA-F]+")
FOLDERS = sorted(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "data")} | {sys.prefix},
    key=len,
    reverse=True,
)


class Page(pydoc.HTMLDoc):
    """pydoc's HTML, without the values of data: they tell of the machine, its paths and its environment."""

    def docother(self, *arguments: object, **named: object) -> str:
        """Nothing."""
        return ""


def documented(module: types.ModuleType) -> Iterator[tuple[str, object]]:
    """The functions, classes and methods that a module defines, in alphabetical order."""
    for name in sorted(vars(module)):
        member = vars(module)[name]
        if name.startswith("_") or not (inspect.isroutine(member) or inspect.isclass(member)):
            continue
        if getattr(member, "__module__", None) != module.__name__:
            continue
        yield name, member
        if inspect.isclass(member):
            for method in sorted(vars(member)):
                if not method.startswith("_") and inspect.isroutine(vars(member)[method]):
                    yield f"{name}.{method}", vars(member)[method]


def pages(name: str) -> Iterator[tuple[str, str]]:
    """Address and HTML of each page of a module; none for a module of another platform."""
    # A module can raise anything when it is imported, SystemExit included, if its platform is another one.
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        print(f"{name}: not rendered: {error!r}", file=sys.stderr)
        return
    renderer = Page()
    for title, member in documented(module):
        if len(inspect.getdoc(member) or "") < MINIMUM_DOCUMENTATION:
            continue
        # Objects with properties of their own making can refuse to be looked at.
        try:
            body = renderer.document(member, title.rpartition(".")[2])
        except (AttributeError, TypeError, ValueError) as error:
            print(f"{name}.{title}: not rendered: {error!r}", file=sys.stderr)
            continue
        html = ADDRESS.sub("", renderer.page(f"{name}.{title}", body))
        for folder in FOLDERS:
            html = html.replace(folder, "")
        if len(html) <= MAXIMUM_PAGE:
            yield f"{name}.{title}", html


def main(names: list[str]) -> None:
    """Prints the pages of modules to what was the standard output; what the modules print goes elsewhere."""
    warnings.simplefilter("ignore")
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output, contextlib.redirect_stdout(sys.stderr):
        os.dup2(2, 1)
        for name in names:
            for page in pages(name):
                output.write(json.dumps(page) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
