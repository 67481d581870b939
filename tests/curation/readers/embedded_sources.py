"""Sources of the embedded corpus, for tests and for the programs that they start."""

from typing import Any

from pipeline.curation.readers.sources import Disclosure, EmbeddedSource

DISCLOSURE = Disclosure(name="n", url="u", date_obtained="d", description="d", source="s", data_provenance="p")


def embedded_source(generator: str, **settings: Any) -> EmbeddedSource:
    """A source of what a generator makes, with its settings, such as `packages` and `limit`."""
    return EmbeddedSource(kind="embedded", generator=generator, disclosure=DISCLOSURE, **settings)  # pyright: ignore
