"""Renders pydoc's HTML pages: `python -m pipeline.curation.readers.embedded.render_pages MODULE...`.

It prints a JSON line for each page: `[address, html]`. The generator `web_pages` runs it in a process of its own.
"""

import contextlib
import importlib
import inspect
import json
import os
import pydoc
import re
import sys
import sysconfig
import tempfile
import types
import warnings
from collections.abc import Iterator
from typing import Any

MINIMUM_DOCUMENTATION = 250
"""Characters of a docstring. With less, a page would be a signature and boilerplate."""
MAXIMUM_PAGE = 60_000
"""Characters of a page. The page of a class with hundreds of methods repeats the methods' own pages."""
ADDRESS = re.compile(r"(?:\s|&nbsp;)at(?:\s|&nbsp;)0x[0-9a-fA-F]+")
"""The memory address in the printed form of an object, which differs in every process."""
COMMON_FOLDERS = ("/", "/usr", "/usr/local", "/tmp")
"""Folders that texts name on every machine: they stay, also where Python is installed in one of them."""


def folders_of_this_machine() -> list[str]:
    """Folders of this installation and of this process, longest first, which are removed from pages."""
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "data")}
    found |= {*sys.path, sys.prefix, sys.base_prefix, os.getcwd(), os.path.expanduser("~"), tempfile.gettempdir()}
    # As a string is printed with quotes, backslashes and letters that do not print.
    found |= {repr(folder)[1:-1] for folder in found}
    found = {folder.rstrip(os.sep) for folder in found}
    return sorted(found - {"", *COMMON_FOLDERS}, key=lambda folder: (-len(folder), folder))


class Page(pydoc.HTMLDoc):
    """pydoc's HTML without what tells of the machine: the values of variables, and paths in texts and signatures."""

    def __init__(self) -> None:
        super().__init__()
        names = "|".join(map(re.escape, folders_of_this_machine()))
        # A whole path or its beginning: text/application names no folder /app.
        self.folders = re.compile(rf"(?<![\w.~-])(?:{names})(?![\w-]|\.\w)")

    def without_folders(self, text: str) -> str:
        """The text with every path as if it began where the installation does."""
        return self.folders.sub("", text)

    def escape(self, text: str) -> str:
        """Escapes a signature, after its paths are cut: behind the escapes and links that follow, none is found."""
        return super().escape(self.without_folders(text))

    def markup(self, text: str, *arguments: Any, **named: Any) -> str:
        """Marks up a docstring, after its paths are cut."""
        return super().markup(self.without_folders(text), *arguments, **named)

    def docother(self, *arguments: object, **named: object) -> str:
        """Leaves a variable out of the page."""
        return ""


def documented(module: types.ModuleType) -> Iterator[tuple[str, object]]:
    """The public functions, classes and methods that a module defines, by name, in alphabetical order."""
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
    """Address and HTML of each page of a module; none if the module cannot be imported.

    What is left out for an error is named on standard error.
    """
    # A module for another platform can raise anything when it is imported, SystemExit included.
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
        html = renderer.without_folders(ADDRESS.sub("", renderer.page(f"{name}.{title}", body)))
        if len(html) <= MAXIMUM_PAGE:
            yield f"{name}.{title}", html


def main(names: list[str]) -> None:
    """Prints the pages of modules to standard output, and sends what the modules print to standard error."""
    warnings.simplefilter("ignore")
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output, contextlib.redirect_stdout(sys.stderr):
        os.dup2(2, 1)
        for name in names:
            for page in pages(name):
                output.write(json.dumps(page) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
