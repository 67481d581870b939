"""Generator of code: the Python files of installed packages, unchanged."""

from collections.abc import Iterator

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.packages import chosen_files, read_source
from pipeline.curation.readers.sources import EmbeddedSource


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of source files, chosen by the source's seed and limits."""
    return list(chosen_files(source.packages, source.limit, source.max_bytes, source.seed))


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields the text of each file."""
    files = chosen_files(source.packages, source.limit, source.max_bytes, source.seed)
    for name in items:
        yield EmbeddedText(origin=name, text=read_source(files[name]))
