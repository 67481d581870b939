"""The embedded corpus: real text, code and checked mathematics that every Python installation has.

Each generator is a module named as in recipes (`generator: docstrings`) with two functions: `list_items(source)` names
the items it can give, in an order that is the same each time, and `read(source, items)` yields the texts of some of
them as `EmbeddedText`. What an item holds depends only on the source's settings and the versions of Python and the
packages, never on the machine. `packages` finds the files of installed packages.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class EmbeddedText:
    """One text, or one HTML page, of the embedded corpus."""

    origin: str
    """Where it comes from, the same on every machine: a file's name within its package, a module, a number."""
    text: str
