"""Licence texts of installed packages: legal language."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.curation.readers.embedded.packages import distributions
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource

NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")


def units(source: EmbeddedSource) -> list[str]:
    """Names of distributions."""
    names = {name for package in source.packages for name in distributions().get(package, [])}
    return sorted(names)[: source.limit]


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """One text per licence file."""
    for name in names:
        for file in sorted(importlib.metadata.files(name) or [], key=str):
            path = PurePosixPath(file)
            if path.stem.upper().startswith(NAMES) and path.suffix in ("", ".txt", ".md", ".rst"):
                content = Path(file.locate()).read_text(encoding="utf-8", errors="replace")
                inside = "/".join(path.parts[1:])
                yield EmbeddedText(origin=f"{name}/{inside}", text=content)
