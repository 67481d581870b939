"""The long descriptions that packages carry in their metadata: their READMEs."""

import importlib.metadata
from collections.abc import Iterator

from pipeline.curation.readers.embedded.packages import distributions
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource


def units(source: EmbeddedSource) -> list[str]:
    """Names of distributions."""
    names = {name for package in source.packages for name in distributions().get(package, [])}
    return sorted(names)[: source.limit]


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """One text per distribution."""
    for name in names:
        metadata = importlib.metadata.metadata(name).json
        yield EmbeddedText(
            origin=f"{name}/README",
            text=f"{metadata.get('summary', '')}\n\n{metadata.get('description', '')}",
        )
