"""What the embedded corpus gives."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EmbeddedText:
    """One text, or one page of HTML."""

    origin: str
    """Where it is from, independent of the machine: a file's name within its package, a module, a number."""
    text: str
