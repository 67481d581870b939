"""Source files of installed packages, as they are: the domain `code`."""

from collections.abc import Iterator

from pipeline.curation.readers.embedded.packages import chosen_files, text_of
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource


def units(source: EmbeddedSource) -> list[str]:
    """Names of files."""
    return list(chosen_files(source.packages, source.limit, source.max_bytes, source.seed))


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """The files' text."""
    files = chosen_files(source.packages, source.limit, source.max_bytes, source.seed)
    for name in names:
        yield EmbeddedText(origin=name, text=text_of(files[name]))
