"""Generator of READMEs: the long descriptions in the metadata of installed packages."""

import importlib.metadata
from collections.abc import Iterator

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.packages import distributions
from pipeline.curation.readers.sources import EmbeddedSource


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of the distributions that the source's packages belong to."""
    names = {name for package in source.packages for name in distributions().get(package, [])}
    return sorted(names)[: source.limit]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a text for each distribution: its summary and its long description."""
    for name in items:
        metadata = importlib.metadata.metadata(name).json
        yield EmbeddedText(
            origin=f"{name}/README",
            text=f"{metadata.get('summary', '')}\n\n{metadata.get('description', '')}",
        )
