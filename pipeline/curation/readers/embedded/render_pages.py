"""Renders pydoc's HTML pages: `python -m pipeline.curation.readers.embedded.render_pages MODULE...`.

It prints a JSON line for each page: `[address, html]`. The generator `web_pages` runs it in a process of its own.
"""

import contextlib
import html
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
import urllib.parse
import warnings
from collections.abc import Iterator
from typing import Any

import pipeline

MINIMUM_DOCUMENTATION = 250
"""Characters of a docstring. With less, a page would be a signature and boilerplate."""
MAXIMUM_PAGE = 60_000
"""Characters of a page. The page of a class with hundreds of methods repeats the methods' own pages."""
ADDRESS = re.compile(r"(?:\s|&nbsp;)at(?:\s|&nbsp;)0x[0-9a-fA-F]+")
"""The memory address in the printed form of an object, which differs in every process."""
COMMON_FOLDERS = ("/", "/usr", "/usr/local", "/tmp")
"""Folders that texts name on every machine: they stay, also where Python is installed in one of them."""
BROKEN_SIGNATURE = "(\n    "
"""How a signature with a line for each parameter begins."""


def folders_of_this_machine() -> list[str]:
    """Folders of this project, installation and process, as given and resolved, which are removed from pages."""
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "data")}
    found |= {*sys.path, sys.prefix, sys.base_prefix, os.getcwd(), os.path.expanduser("~"), tempfile.gettempdir()}
    found.add(os.path.dirname(os.path.dirname(pipeline.__file__)))
    found = {os.path.abspath(folder) for folder in found if folder}
    return sorted((found | set(map(os.path.realpath, found))) - {os.sep, *COMMON_FOLDERS})


def written_forms(folder: str) -> set[str]:
    """The ways a text can write a folder: as it is, as Python or JSON prints it, in an address, in HTML."""
    plain = {folder, repr(folder)[1:-1], ascii(folder)[1:-1], repr(os.fsencode(folder))[2:-1], json.dumps(folder)[1:-1]}
    return {*plain, urllib.parse.quote(folder), *map(html.escape, plain), *(html.escape(each, False) for each in plain)}


class Page(pydoc.HTMLDoc):
    """pydoc's HTML without what tells of the machine: the values of variables, and paths in texts and signatures."""

    def __init__(self) -> None:
        super().__init__()
        forms = {form for folder in folders_of_this_machine() for form in written_forms(folder)}
        names = "|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form))))
        # A whole path or its beginning, also after an option such as -I: text/application names no folder /app.
        folder = rf"(?:(?<![\w.~-])|(?<=[\s'\"]-[A-Z]))(?:{names})(?![\w-]|\.\w)"
        self.folders = re.compile(folder)
        # repr quotes a path with an apostrophe otherwise than one without.
        self.quoted = re.compile(rf"\"([^\"'\s]*){folder}([^\"'\n]*)\"")

    def without_folders(self, text: str) -> str:
        """The text with every path as if it began where the installation does."""
        if not self.folders.search(text):
            return text
        return self.folders.sub("", self.quoted.sub(r"'\1\2'", text))

    def escape(self, text: str) -> str:
        """Escapes a signature, after its paths are cut: behind the escapes and links that follow, none is found."""
        cut = self.without_folders(text)
        # From Python 3.13 on, a long signature has a line for each parameter, and a path is what makes it long.
        if cut != text and cut.startswith(BROKEN_SIGNATURE):
            cut = cut.replace(",\n    ", ", ").replace(BROKEN_SIGNATURE, "(").replace("\n)", ")")
        return super().escape(cut)

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
        page = renderer.without_folders(ADDRESS.sub("", renderer.page(f"{name}.{title}", body)))
        if len(page) <= MAXIMUM_PAGE:
            yield f"{name}.{title}", page


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
