"""Generator of long code: all modules of a package, each after a line with its name."""

from collections.abc import Iterator

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.packages import python_files, read_source
from pipeline.curation.readers.sources import EmbeddedSource


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of packages in the source's order; a package that would exceed `max_bytes` is left out."""
    chosen: list[str] = []
    size = 0
    for package in source.packages[: source.limit]:
        length = sum(path.stat().st_size for path in python_files(package).values())
        if source.max_bytes is None or size + length <= source.max_bytes:
            size += length
            chosen.append(package)
    return chosen


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a text for each package: its modules in alphabetical order."""
    for package in items:
        modules = [f"# {name}\n{read_source(path).strip()}\n" for name, path in python_files(package).items()]
        yield EmbeddedText(origin=package, text="\n\n".join(modules))
