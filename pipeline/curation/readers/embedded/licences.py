"""Generator of license texts of installed packages: legal language."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.packages import distributions
from pipeline.curation.readers.sources import EmbeddedSource

FILE_NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of the distributions that the source's packages belong to."""
    names = {name for package in source.packages for name in distributions().get(package, [])}
    return sorted(names)[: source.limit]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a text for each license file of a distribution."""
    for name in items:
        for file in sorted(importlib.metadata.files(name) or [], key=str):
            path = PurePosixPath(file)
            if path.stem.upper().startswith(FILE_NAMES) and path.suffix in ("", ".txt", ".md", ".rst"):
                content = Path(file.locate()).read_text(encoding="utf-8", errors="replace")
                inside = "/".join(path.parts[1:])
                yield EmbeddedText(origin=f"{name}/{inside}", text=content)
