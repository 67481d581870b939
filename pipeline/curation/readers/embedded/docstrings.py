"""Generator of docstrings: the documentation in source files, parsed without importing them."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.packages import chosen_files, module_name, read_source
from pipeline.curation.readers.sources import EmbeddedSource

MINIMUM_CHARACTERS = 200
"""Shorter docstrings mostly repeat the name of what they document."""

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of source files, chosen by the source's seed and limits."""
    return list(chosen_files(source.packages, source.limit, source.max_bytes, source.seed))


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a text for each module, class and function with a docstring of some length, under its signature."""
    files = chosen_files(source.packages, source.limit, source.max_bytes, source.seed)
    for name in items:
        for title, documentation in docstrings_of(files[name], module_name(name)):
            if len(documentation) >= MINIMUM_CHARACTERS:
                yield EmbeddedText(origin=f"{name}#{title}", text=f"{title}\n\n{documentation}\n")


def docstrings_of(path: Path, module: str) -> list[tuple[str, str]]:
    """Titles and docstrings of a file, in the order of the file; none if it does not parse, as templates do not."""
    try:
        tree = ast.parse(read_source(path))
    except (SyntaxError, ValueError):
        return []
    found = [(module, ast.get_docstring(tree) or "")]
    found += _documented(tree.body, module)
    return [(title, inspect.cleandoc(text)) for title, text in found if text]


def _documented(body: list[ast.stmt], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for node in body:
        if not isinstance(node, Documented) or (node.name.startswith("_") and not node.name.startswith("__")):
            continue
        title = f"{prefix}.{node.name}"
        signature = "" if isinstance(node, ast.ClassDef) else f"({ast.unparse(node.args)})"
        found.append((title + signature, ast.get_docstring(node) or ""))
        if isinstance(node, ast.ClassDef):
            found += _documented(node.body, title)
    return found
